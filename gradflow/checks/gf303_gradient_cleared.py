"""`zero_grad` stands between the backward pass and the step.

## What it checks
Parameters whose gradient was cleared, by a `zero_grad` after a backward pass and before the step of the optimizer that holds them, in every
step seen. The line named is the `zero_grad`. So is `.grad = None` by hand, if it takes all that the optimizer would use; for some of it, it
is a way to freeze. A gradient that is cleared in some steps only, and one that a later backward pass brings
again before the step, is no finding.

## Why it matters
The gradient was there and is thrown away: the optimizer passes over the parameters, or, with `set_to_none=False`, steps on zeros. Weight
decay and momentum may still move them, which looks like learning.

## Example
```python
loss.backward()
optimizer.zero_grad()
optimizer.step()
```

## Use instead
```python
optimizer.zero_grad()
loss.backward()
optimizer.step()
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, definition_site
from gradflow.checks.naming import spoken
from gradflow.checks.owners import optimizer_named
from gradflow.graph.recording import GradientCleared
from gradflow.graph.site import Site
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict

CODE = "GF303"
NAME = "gradient-cleared"
SEVERITY = Severity.ERROR


def find(case: Case) -> Iterable[Finding]:
    """One finding for each line that clears."""
    lines: dict[Site | None, list[GradientCleared]] = {}
    for cleared in case.recording.cleared:
        lines.setdefault(cleared.site, []).append(cleared)
    said: set[int] = set()
    for site, entries in lines.items():
        members = sorted({i for entry in entries for i in entry.parameters if _in_every_step(case, i)} - said)
        said.update(members)
        if members:
            yield _finding(case, site, entries[0].optimizer, members)


def _in_every_step(case: Case, index: int) -> bool:
    fact = case.facts[index]
    seen = [step for step in fact.steps if step.reached or step.cleared]
    free = case.verdicts[index] is not Verdict.FROZEN and fact.name not in case.taken
    return free and bool(seen) and all(step.cleared for step in seen)


def _finding(case: Case, site: Site | None, optimizer: str, members: list[int]) -> Finding:
    names = case.names(members)
    known = optimizer_named(case, optimizer)
    what = "`zero_grad`" if site is None or "zero_grad" in site.source else "`.grad = None`"
    call = f"{what} on line {site.line}" if site is not None else what
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"the gradient of {spoken(case.facts, members)} is cleared by {what} before `{optimizer}` steps",
        names,
        sites=(
            *cause_site(site, "throws away what the backward pass brought"),
            *definition_site(known.site if known is not None else None, "steps without a gradient"),
        ),
        help=(f"move {call} before `backward`, or behind `{optimizer}.step()`",),
        notes=("a gradient arrived in every step seen, and none was there when the step was taken",),
    )
