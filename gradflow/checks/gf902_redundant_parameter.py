"""A parameter to which the loss is invariant, so that its gradient cancels to zero.

## What it checks
Parameters whose gradient is zero in every step, or rounding noise under a millionth of its neighbours', because a sum cancels: the bias
of a layer before BatchNorm, which subtracts the mean again; the bias of an attention's keys, which softmax takes out; the last bias of a
critic whose scores are subtracted. It is told by the noise, or by the weight of the same layer that learns.

## Why it matters
It is harmless: the model computes the same with any value of it. It costs memory, and may be left out.

## Example
```python
self.conv = nn.Conv2d(3, 16, 3)  # its bias is taken out again by the next layer
self.norm = nn.BatchNorm2d(16)
```

## Use instead
Nothing has to change. To leave it out: `nn.Conv2d(3, 16, 3, bias=False)`.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, count, definition_site
from gradflow.checks.invariance import redundant
from gradflow.checks.naming import listed
from gradflow.report import Finding, Severity

CODE = "GF902"
NAME = "redundant-parameter"
SEVERITY = Severity.INFO


def find(case: Case) -> Iterable[Finding]:
    """One finding for each model."""
    members = redundant(case)
    for root in dict.fromkeys(case.facts[i].root for i in members):
        names = case.names(i for i in members if case.facts[i].root == root)
        definition = next((case.facts[i].definition for i in members if case.facts[i].name == names[0]), None)
        yield Finding(
            CODE,
            NAME,
            SEVERITY,
            f"the loss does not depend on {listed(names)} ({count(len(names))}): the gradient cancels",
            names,
            sites=definition_site(definition, "the loss is invariant to it"),
            notes=("harmless: a normalisation, a softmax or a difference takes it out again",),
        )
