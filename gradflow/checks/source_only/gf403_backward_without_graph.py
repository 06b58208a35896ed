"""A loss that is computed where gradients are off, and then has `backward` called on it.

## What it checks
Names of which all values in a scope are computed in blocks under `torch.no_grad()` or `torch.inference_mode()`, and on which `backward` is
called. Read in the source by `gradflow lint`.

## Why it matters
Such a tensor has no graph: `backward` raises "does not require grad". Where `requires_grad` is then set by hand to silence that, nothing is
trained.

## Example
```python
with torch.no_grad():
    loss = criterion(model(x), y)
loss.backward()
```

## Use instead
```python
loss = criterion(model(x), y)
loss.backward()
```
"""

from __future__ import annotations

from gradflow.report import Severity

CODE = "GF403"
NAME = "backward-without-graph"
SEVERITY = Severity.WARNING
