"""A parameter's value leaves torch, and was not seen to come back to the loss.

## What it checks
Parameters whose value goes to a Python number, an array or text (`float()`, `.item()`, `.tolist()`, `str`, pickle) and that reach the loss
in no way that was seen. Whether the value returns, through Python arithmetic or a file, was not seen either: hence a warning at most.

## Why it matters
If the number does come back into the loss, its gradient is lost on the way. If it does not, the parameter is used for nothing but a log.

## Example
```python
penalty = float(self.scale.norm())
history.append(penalty)
loss = criterion(out, y) + 0.1 * history[-1]
```

## Use instead
```python
loss = criterion(out, y) + 0.1 * self.scale.norm()
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, count, definition_site, same_line
from gradflow.checks.severity import graded, why_meant
from gradflow.graph.blame import blame, lost_hosts
from gradflow.graph.site import Site
from gradflow.report import Finding, FindingSite, Severity
from gradflow.verdict import Verdict

CODE = "GF107"
NAME = "escaped-parameter"
SEVERITY = Severity.WARNING


def find(case: Case) -> Iterable[Finding]:
    """One finding for each line at which values leave torch."""
    escaped = frozenset(case.free(Verdict.ESCAPED))
    if not escaped:
        return
    groups: dict[tuple[Site | None, str], list[int]] = {}
    for index, found in blame(case.graph, escaped, lost_hosts(case.graph)).items():
        groups.setdefault((case.graph.site_of(found.loss), case.graph.nodes[found.loss].label), []).append(index)
    for (site, label), members in groups.items():
        severity, kept, _ = graded(case, members)
        if severity is not None:
            yield _finding(case, SEVERITY if severity is Severity.ERROR else severity, site, label, kept)


def _finding(case: Case, severity: Severity, site: Site | None, label: str, members: list[int]) -> Finding:
    names = case.names(members)
    leave = "leaves" if len(names) == 1 else "leave"
    where = f" on line {site.line}" if site else ""
    it = "it was" if len(names) == 1 else "they were"
    return Finding(
        CODE,
        NAME,
        severity,
        f"{count(len(names))} {leave} torch by `{label}`, and {it} not seen to come back to the loss",
        names,
        sites=(*cause_site(site, "leaves torch here"), *_defined(case, members, site)),
        help=(f"if the value has a part in the loss, keep the tensor: remove `{label}`{where}",),
        notes=(f"taken as meant: {why_meant(case, members)}",) if severity is Severity.INFO else (),
    )


def _defined(case: Case, members: list[int], site: Site | None) -> tuple[FindingSite, ...]:
    """Where the first of `members` is defined: what is only logged may be a term that was left out of the loss."""
    definition = case.facts[members[0]].definition if members else None
    if definition is None or (site is not None and same_line(definition, site)):
        return ()
    return definition_site(definition, "defined here, and no tensor made of it reaches the loss")
