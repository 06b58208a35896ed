"""A name of torch that is misspelt, or a method that is named and not called.

## What it checks
Assignments to attributes such as `require_grad`, which no tensor has, on anything but `self`; and statements that only name `zero_grad`,
`backward`, `step`, `train` or `eval`, without parentheses. Read in the source by `gradflow lint`.

## Why it matters
Python accepts both. `p.require_grad = False` makes a new attribute and freezes nothing; `optimizer.zero_grad` clears nothing.

## Example
```python
for p in model.backbone.parameters():
    p.require_grad = False
optimizer.zero_grad
```

## Use instead
```python
model.backbone.requires_grad_(False)
optimizer.zero_grad()
```
"""

from __future__ import annotations

from gradflow.report import Severity

CODE = "GF402"
NAME = "misspelt-attribute"
SEVERITY = Severity.WARNING
