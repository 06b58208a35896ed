"""The loss is a fresh leaf, made from the values of the real one.

## What it checks
Calls of `backward` whose root is a leaf that was made from differentiable values, as `torch.tensor(losses, requires_grad=True)` makes it.
The line named is the one that rebuilds. The parameters are all whose value reaches it and that get no gradient another way.

## Why it matters
`requires_grad=True` on a new tensor silences "element 0 of tensors does not require grad" and mends nothing: the new leaf has no history,
`backward` stops at it, and no layer learns.

## Example
```python
losses = [criterion(model(x), y) for x, y in batch]
loss = torch.tensor(losses, requires_grad=True).mean()
```

## Use instead
```python
loss = torch.stack(losses).mean()
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, count, same_line
from gradflow.checks.severity import graded, why_meant
from gradflow.cures import cure, note_of
from gradflow.graph.blame import upstream
from gradflow.graph.recording import LossRebuilt
from gradflow.graph.site import Site
from gradflow.report import Finding, FindingSite, Role, Severity
from gradflow.verdict import Verdict

CODE = "GF105"
NAME = "loss-rebuilt"
SEVERITY = Severity.ERROR


def find(case: Case) -> Iterable[Finding]:
    """One finding for each rebuilding line."""
    roots: dict[Site | None, list[LossRebuilt]] = {}
    for rebuilt in case.recording.rebuilt:
        roots.setdefault(rebuilt.site, []).append(rebuilt)
    for site, every in roots.items():
        above = upstream(case.graph, tuple(rebuilt.node for rebuilt in every))
        reaching = {node.parameter for number, node in enumerate(case.graph.nodes) if above[number] and node.parameter >= 0}
        dead = case.free(Verdict.SEVERED, Verdict.ESCAPED, Verdict.UNUSED)
        severity, members, meant = graded(case, {i for i in dead if i in reaching}.union(case.cut_on(site)))
        if severity is not None:
            yield _finding(case, site, severity, members, meant)


def _finding(case: Case, site: Site | None, severity: Severity, members: list[int], meant: list[int]) -> Finding:
    names = case.names(members)
    source = site.source.strip() if site else ""
    where = f" on line {site.line}" if site else ""
    behind = _cuts_behind(case, site, members)
    intent = [f"{count(len(meant), 'further parameter')} left out: {why_meant(case, meant)}"] if meant else []
    return Finding(
        CODE,
        NAME,
        severity,
        f"{f'`{source}`' if source else 'the program'} makes the loss a new leaf, so {count(len(names))} {_verb(names)} no gradient",
        names,
        sites=cause_site(site, "a new leaf: backward stops here") + tuple(entry for entry, _ in behind),
        help=(
            f"compute the loss from the tensors themselves{where}: `torch.stack(losses).mean()`, or `sum(losses)`",
            *(f"then, {text}" for _, text in behind),
        ),
        notes=tuple([f"taken as meant: {why_meant(case, members)}"] if severity is Severity.INFO else intent),
    )


def _verb(names: tuple[str, ...]) -> str:
    return "gets" if len(names) == 1 else "get"


def _cuts_behind(case: Case, site: Site | None, members: list[int]) -> list[tuple[FindingSite, str]]:
    """Cuts on other lines that every one of the parameters would still meet: `.item()` on what the rebuilt loss is made of."""
    crossed = [{crossing.cut for crossing in case.blames[i].crossings} for i in members if i in case.blames]
    found = []
    for number in sorted(set.intersection(*crossed)) if crossed else ():
        cut = case.graph.cuts[number]
        place = case.graph.sites[cut.site] if cut.site >= 0 else None
        if place is not None and not (site and same_line(place, site)):
            found.append((FindingSite(Role.CAUSE, place, note_of(cut, place)), cure(cut, place)))
    return found
