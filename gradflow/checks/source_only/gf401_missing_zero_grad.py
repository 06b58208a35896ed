"""A training loop that never clears gradients.

## What it checks
Loops that call `backward` and the `step` of an optimizer which the scope or the file builds, in a file in which nothing clears gradients:
no `zero_grad`, no `grad = None`, no `autograd.grad`. Read in the source by `gradflow lint`; a run does not show what was meant.

## Why it matters
`backward` adds to `.grad`. Without `zero_grad` every step is taken with the sum of all gradients since the program began: the loss falls at
first, then it wanders or explodes.

## Example
```python
for x, y in loader:
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
```

## Use instead
```python
for x, y in loader:
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
```
"""

from __future__ import annotations

from gradflow.report import Severity

CODE = "GF401"
NAME = "missing-zero-grad"
SEVERITY = Severity.WARNING
