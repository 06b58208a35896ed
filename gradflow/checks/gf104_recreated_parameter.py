"""A leaf that is made anew in every step, so that what it learns is lost.

## What it checks
Leaves that the loss reaches and that `forward` makes: a layer that is built inside `forward`, or `nn.Parameter(x)` around a computed
tensor. The line named is the constructor's call. Parameters that a `nn.Parameter(x)` on that line cuts off are part of the finding.

## Why it matters
Each step starts from new first values, and no optimizer holds the new leaf. Nothing fails: there is a gradient, and nobody uses it.
`nn.Parameter(x)` also begins a new graph: whatever computed `x` gets no gradient.

## Example
```python
def forward(self, x):
    return nn.Linear(8, 8)(x)
```

## Use instead
```python
def __init__(self):
    super().__init__()
    self.lin = nn.Linear(8, 8)

def forward(self, x):
    return self.lin(x)
```

Where a weight is computed, use it as a tensor: `torch.nn.functional.linear(x, weight)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, count
from gradflow.checks.naming import listed
from gradflow.graph.recording import Membership
from gradflow.graph.site import Site
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict

CODE = "GF104"
NAME = "recreated-parameter"
SEVERITY = Severity.ERROR

_ASSIGNS_THE_LEAF = re.compile(r"[^=(]*=\s*[\w.]*Parameter\(")


def find(case: Case) -> Iterable[Finding]:
    """One finding for each constructor call."""
    groups: dict[Site | None, list[int]] = {}
    for index in case.free(Verdict.LIVE, Verdict.ZERO, Verdict.NONFINITE, Verdict.UNDEFINED):
        if case.facts[index].membership is Membership.RECREATED:
            groups.setdefault(case.facts[index].definition, []).append(index)
    for site, members in groups.items():
        yield _finding(case, site, members)


def _finding(case: Case, site: Site | None, members: list[int]) -> Finding:
    new = case.names(members)
    behind = [index for index in case.cut_on(site) if case.severities[index] is not None]
    lost = [name for name in case.names(behind) if name not in new]
    nameless = bool(lost) and _is_nameless(site)
    what = "the leaf of `nn.Parameter(...)`" if nameless else listed(new)
    message = f"{what} {'is' if len(new) == 1 else 'are'} made anew in every step"
    notes = ["no optimizer can hold a leaf that lives for one step: what it learns is lost"]
    if lost:
        message += f", and {count(len(lost))} behind {'it' if len(new) == 1 else 'them'} {'gets' if len(lost) == 1 else 'get'} no gradient"
    if lost or (site is not None and "Parameter(" in site.source):
        cure = "use the computed tensor itself, without `nn.Parameter`: `torch.nn.functional` takes it as a weight"
    else:
        cure = "build it once, in `__init__`, and call it in `forward`"
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        message,
        case.names(behind if nameless else [*members, *behind]),
        sites=cause_site(site, "makes a new leaf in every step"),
        help=(cure,),
        notes=tuple(notes),
    )


def _is_nameless(site: Site | None) -> bool:
    """Whether the leaf is made in the middle of an expression, so that the variable on that line is not it: `y = f(x, nn.Parameter(w))`."""
    return site is not None and "Parameter(" in site.source and _ASSIGNS_THE_LEAF.match(site.source) is None
