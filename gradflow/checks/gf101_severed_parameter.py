"""A parameter's value reaches the loss, but no gradient comes back to it.

## What it checks
Every parameter that requires grad, whose value has a part in the loss, and to which autograd's graph leads from no loss in any step seen.
The finding names the statement that cuts: the `with`, decorator or call that switches gradients off, or the operation whose result carries
no gradient. `reason` says which kind: no-grad, inference-mode, detach, data, numpy, host-scalar, tensor-copy, parameter-rewrap,
integer-cast, no-derivative, custom-function, reentrant-checkpoint or overwrite. Where several cuts lie on the way, the fewest lines that
have to change are named, the one nearest the loss first.

It is an error where an optimizer that stepped holds the parameter. Where the program says that the cut is meant, it is GF901: no optimizer
holds the parameter while others are held, or something else than an optimizer writes its value between steps (a moving average).

## Why it matters
The layer runs, the loss falls, and the layer keeps its first weights. `.grad` stays None, and optimizers skip such parameters without a
word. All that comes before the cut is lost too, not the layer in the block alone; what comes after it still learns.

## Example
```python
def forward(self, x):
    x = self.lin0(x)
    with torch.no_grad():
        x = self.lin1(x)
    return self.lin2(x)  # lin2 learns; lin1 does not, and nor does lin0
```

## Use instead
To train both layers, delete the `with`. To freeze `lin1` alone, delete the `with` and say so:

```python
model.lin1.requires_grad_(False)
```
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gradflow.checks.base import Case, count
from gradflow.checks.naming import freeze, listed, topmost
from gradflow.checks.severity import graded, why_meant
from gradflow.cures import covered, cure, is_decorator, label_of, note_of
from gradflow.graph.blame import Crossing, upstream
from gradflow.graph.flow import Cut, CutReason
from gradflow.graph.site import Site
from gradflow.report import Finding, FindingSite, Role, Severity
from gradflow.verdict import Verdict

CODE = "GF101"
NAME = "severed-parameter"
SEVERITY = Severity.ERROR


def find(case: Case) -> Iterable[Finding]:
    """One finding for each set of cuts that has to go."""
    groups: dict[tuple[Place, ...], list[int]] = {}
    for index in case.free(Verdict.SEVERED):
        groups.setdefault(_key(case, index), []).append(index)
    for key, members in groups.items():
        severity, worst, meant = graded(case, members)
        if severity is not None and severity is not Severity.INFO:
            yield _finding(case, severity, worst, meant) if key else _incomplete(case, severity, worst)


Place = tuple[Site | None, CutReason, str]
"""Where something is cut, whichever module was running: a line in a block cuts in each of the blocks, and is one cause."""


def _key(case: Case, index: int) -> tuple[Place, ...]:
    """The lines to blame: one place is one cut, whichever of its passes the path took."""
    return tuple(dict.fromkeys(_place(case, crossing) for crossing in case.blames[index].crossings))


def _place(case: Case, crossing: Crossing) -> Place:
    cut, site = case.graph.cuts[crossing.cut], _site(case, crossing)
    return (replace(site, module="") if site is not None else None, cut.reason, "" if site is not None else cut.label)


def _finding(case: Case, severity: Severity, members: list[int], meant: list[int]) -> Finding:
    crossings = _distinct(case, members)
    cuts = [(case.graph.cuts[crossing.cut], _site(case, crossing)) for crossing in crossings]
    label = listed(dict.fromkeys(label_of(cut) for cut, _ in cuts))
    verb = "is" if len(members) == 1 else "are"
    return Finding(
        CODE,
        NAME,
        severity,
        f"{count(len(case.names(members)))} {verb} cut off from the loss by {label}",
        case.names(members),
        sites=tuple(_sites(case, members, cuts)),
        reason=cuts[0][0].reason.value,
        help=tuple(_helps(case, members, cuts)),
        notes=tuple(_notes(case, members, meant, crossings)),
    )


def _incomplete(case: Case, severity: Severity, members: list[int]) -> Finding:
    """Autograd did not reach these, and the trace shows no cut: the verdict is autograd's, and nobody is blamed."""
    message = f"{count(len(members))} of the loss {'gets' if len(members) == 1 else 'get'} no gradient, and the trace shows no cut"
    note = "trace incomplete: the verdict is autograd's, and the line that cuts was not seen"
    return Finding(CODE, NAME, severity, message, case.names(members), notes=(note,))


def _distinct(case: Case, members: list[int]) -> list[Crossing]:
    """The crossings of the first member, one for each line: two passes over one line are one cause."""
    first: dict[Place, Crossing] = {}
    for crossing in case.blames[members[0]].crossings:
        first.setdefault(_place(case, crossing), crossing)
    return list(first.values())


def _site(case: Case, crossing: Crossing) -> Site | None:
    place = case.graph.cuts[crossing.cut].site
    return case.graph.sites[place] if place >= 0 else None


def _sites(case: Case, members: list[int], cuts: list[tuple[Cut, Site | None]]) -> Iterator[FindingSite]:
    for cut, site in cuts:
        if site is not None:
            yield FindingSite(Role.CAUSE, site, note_of(cut, site))
    causes = {(site.file, site.line) for _, site in cuts if site is not None}
    leaks: dict[Site, str] = {}
    for crossing in (crossing for index in members for crossing in case.blames[index].crossings):
        leak = case.graph.site_of(crossing.node)
        if leak is not None and (leak.file, leak.line) not in causes:
            region = case.graph.cuts[crossing.cut].region
            place = covered(_site(case, crossing))
            leaks.setdefault(leak, f"leaves the {place} without a grad_fn" if region else "goes on without a grad_fn")
    one_a_line = {(leak.file, leak.line): leak for leak in sorted(leaks, reverse=True)}
    for _, leak in sorted(one_a_line.items()):
        yield FindingSite(Role.LEAK, leak, leaks[leak])


def _helps(case: Case, members: list[int], cuts: list[tuple[Cut, Site | None]]) -> Iterator[str]:
    them = "it" if len(members) == 1 else "them"
    for cut, site in cuts:
        yield f"to train {them}, {cure(cut, site)}"
    nearest, site = cuts[0]
    inside = _inside(case, members, cuts)
    statement = f"to freeze {them}, say so: `{freeze(case.facts, inside or members)}`"
    outside = [index for index in members if inside and index not in inside]
    if nearest.region and outside and len(cuts) == 1:
        labels = [group.label for group in topmost(case.facts, outside)]
        what = "decorator" if is_decorator(site) else covered(site)
        statement += f" in place of the {what}, so that {listed(labels)} {'learns' if len(labels) == 1 else 'learn'}"
    yield statement


def _inside(case: Case, members: list[int], cuts: list[tuple[Cut, Site | None]]) -> list[int]:
    """Those of `members` that the region itself takes; what comes before it dies with them, which is seldom meant."""
    graph, wanted = case.graph, {cut for cut, _ in cuts if cut.region}
    regions = {number for number, cut in enumerate(graph.cuts) if cut in wanted}
    if not regions:
        return []
    taken = {
        graph.nodes[source].parameter
        for source, target in zip(graph.sources, graph.targets, strict=True)
        if graph.nodes[source].parameter >= 0 and graph.nodes[target].region in regions
    }
    return [index for index in members if index in taken]


def _notes(case: Case, members: list[int], meant: list[int], crossings: list[Crossing]) -> Iterator[str]:
    them = "it requires grad and its value reaches" if len(members) == 1 else "they require grad and their values reach"
    yield f"{them} the loss, but `.grad` stays None"
    modules = sorted({site.module for index in members for crossing in case.blames[index].crossings if (site := _site(case, crossing))})
    if len(modules) > 1:
        yield f"the line runs in {len(modules)} modules: {listed(modules)}"
    if len(crossings) > 1:
        yield f"the {len(crossings)} cuts stand one behind the other: each of them has to go"
    above = upstream(case.graph, tuple(crossing.node for crossing in crossings))
    behind = {node.parameter for number, node in enumerate(case.graph.nodes) if above[number] and node.parameter >= 0}
    around = [index for index in sorted(behind) if case.verdicts[index] is Verdict.LIVE]
    if around:
        labels = [group.label for group in topmost(case.facts, around)]
        yield f"{listed(labels)} still {'learns' if len(labels) == 1 else 'learn'}: there is a way to the loss around the cut"
    if meant:
        yield f"{count(len(meant), 'further parameter')} behind the cut left out: {why_meant(case, meant)}"
