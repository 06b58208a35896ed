"""A gradient that is exactly zero only because a neighbour starts as zero.

## What it checks
Parameters that got exactly zero in the first steps and are live in all later ones; and those that got zero so far at an operation that
takes an all-zero parameter which learns itself: the first factor of LoRA while the second is zero, a branch behind a ReZero gain, a layer
before a convolution that starts as zero.

## Why it matters
It is meant: the branch starts as nothing, and opens with the first update of the zero factor. Information only.

## Example
```python
self.lora_a = nn.Parameter(torch.randn(rank, dim) / dim)
self.lora_b = nn.Parameter(torch.zeros(dim, rank))
```

## Use instead
Nothing has to change. Only do not start both factors as zero: neither would ever get a gradient.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case
from gradflow.checks.invariance import redundant, zero_at_start
from gradflow.checks.naming import spoken
from gradflow.report import Finding, Severity

CODE = "GF904"
NAME = "zero-at-initialisation"
SEVERITY = Severity.INFO


def find(case: Case) -> Iterable[Finding]:
    """One finding for each model."""
    harmless = set(redundant(case))
    members = [i for i in zero_at_start(case) if i not in harmless]
    for root in dict.fromkeys(case.facts[i].root for i in members):
        chosen = [i for i in members if case.facts[i].root == root]
        names = case.names(chosen)
        yield Finding(
            CODE,
            NAME,
            SEVERITY,
            f"the gradient of {spoken(case.facts, chosen)} is zero at first, beside a factor that starts as zero",
            names,
            notes=("it is live from the first update of that factor on",),
        )
