"""A parameter that no operation takes on the way to the loss.

## What it checks
Every parameter that requires grad and whose value has no part in any loss of any step seen: it is declared and never called, or another
module is called in its place. So is one whose value is only copied into another model (a moving average) that the loss is computed with.

It is a warning, and an error where a script trains it: an optimizer that stepped holds it. Where no optimizer holds it while others are
held, it is GF901. Where a numbered sibling (`experts.0`) is chosen in some steps only, a router has not chosen it yet: GF903.
A tensor that no module registers and no optimizer holds is not reported: nobody expects it to learn.

## Why it matters
The layer is counted, saved and moved to the device, and it does nothing. Often the wrong name was typed in `forward` (`self.fc1` twice, and
`self.fc2` never). `DistributedDataParallel` stops with "Expected to have finished reduction in the prior iteration".

## Example
```python
def __init__(self):
    super().__init__()
    self.fc1 = nn.Linear(8, 8)
    self.fc2 = nn.Linear(8, 8)

def forward(self, x):
    return self.fc1(self.fc1(x))
```

## Use instead
Call the layer, or delete it:

```python
def forward(self, x):
    return self.fc2(self.fc1(x))
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, count, definition_site
from gradflow.checks.copies import only_copied
from gradflow.checks.naming import Group, expression, listed, topmost
from gradflow.checks.owners import optimizer_named
from gradflow.checks.routing import unrouted
from gradflow.checks.severity import graded
from gradflow.graph.flow import NodeKind
from gradflow.graph.recording import Membership, TargetKind
from gradflow.report import Finding, FindingSite, Severity
from gradflow.verdict import Verdict

CODE = "GF102"
NAME = "unused-parameter"
SEVERITY = Severity.WARNING

_RUNS_TRAINING = {TargetKind.SCRIPT, TargetKind.NOTEBOOK, TargetKind.COMMAND}


def find(case: Case) -> Iterable[Finding]:
    """One finding for each topmost module that is unused as a whole."""
    idle = unrouted(case)
    unused = [i for i in case.free(Verdict.UNUSED) if i not in idle and expected_to_learn(case, i)]
    frozen = [i for i, verdict in enumerate(case.verdicts) if verdict is Verdict.FROZEN]
    for group in topmost(case.facts, unused, frozen):
        severity, members, _ = graded(case, group.members)
        if severity is not None and severity is not Severity.INFO:
            yield _finding(case, _as_warning(case, severity, members), group, members)


def expected_to_learn(case: Case, index: int) -> bool:
    """Whether anybody could expect it: a module registers it or an optimizer holds it, and it was not replaced by another tensor."""
    fact = case.facts[index]
    if fact.membership is Membership.REGISTERED:
        return True
    return bool(fact.optimizers) and not any(fact.name in stale.old for stale in case.recording.stale)


def _as_warning(case: Case, severity: Severity, members: list[int]) -> Severity:
    """An error only where training is seen: a model that is called once may have inputs that were not given."""
    trained = case.recording.target.kind in _RUNS_TRAINING and any(case.facts[i].stepped for i in members)
    return Severity.WARNING if severity is Severity.ERROR and not trained else severity


def _finding(case: Case, severity: Severity, group: Group, members: list[int]) -> Finding:
    names = case.names(members)
    alone = group.path == names[0]
    prefixed = len({fact.root for fact in case.facts if fact.root}) > 1
    what = expression(group.root, group.path, prefixed=prefixed)
    holders = ", ".join(f"`{name}`" for name in dict.fromkeys(name for i in members for name in case.facts[i].optimizers))
    notes = [f"{holders} {'holds' if ',' not in holders else 'hold'} {'it' if len(names) == 1 else 'them'}"] if holders else []
    sites = {case.facts[i].definition: None for i in members}
    definition = next(iter(sites)) if group.path or len(sites) == 1 else None
    return Finding(
        CODE,
        NAME,
        severity,
        f"`{group.label}` is never used on the way to the loss" + ("" if alone else f" ({count(len(names))})"),
        names,
        sites=(
            *definition_site(definition, "defined here, and no operation on the way to the loss takes it"),
            *_holder(case, group, members),
        ),
        help=(f"use `{what}` in `forward`, or delete it", f"to keep it without training it, say so: `{what}.requires_grad_(False)`"),
        notes=(*notes, *_copies(case, members), *_twins(case, group, members)),
    )


def _holder(case: Case, group: Group, members: list[int]) -> tuple[FindingSite, ...]:
    """The optimizer of a whole model that has no part in the loss: one of the two was built for the wrong model."""
    optimizers = [] if group.path else [optimizer_named(case, name) for name in case.facts[members[0]].optimizers]
    return definition_site(next((optimizer.site for optimizer in optimizers if optimizer is not None), None), "trains this model")


def _copies(case: Case, members: list[int]) -> list[str]:
    """Where the values go, if they are only copied: the loss is computed with the copy, which may be the wrong one of two models."""
    copied = only_copied(case.recording, members)
    if not copied:
        return []
    fact = case.facts[next(iter(copied))]
    return [f"its values are only copied into `{fact.twin}`, which the loss is computed with"]


def _twins(case: Case, group: Group, members: list[int]) -> list[str]:
    """Neighbours of the same class and shapes that are called more than once in a step: one of the calls may be meant for this one."""
    parent, shapes = group.path.rpartition(".")[0], _shapes(case, list(members), group.path)
    uses = _uses_in_a_step(case)
    siblings: dict[str, list[int]] = {}
    for index, fact in enumerate(case.facts):
        owner = fact.name.rpartition(".")[0]
        if fact.root == group.root and owner != group.path and owner.rpartition(".")[0] == parent and owner:
            siblings.setdefault(owner, []).append(index)
    twice = [
        owner
        for owner, indices in siblings.items()
        if _shapes(case, indices, owner) == shapes and all(uses.get(index, 0) > 1 for index in indices)
    ]
    return [f"{listed(twice)}, of the same class and shape, is called more than once in a step"] if len(twice) == 1 else []


def _shapes(case: Case, indices: list[int], path: str) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(case.facts[i].owner_class, case.facts[i].name.removeprefix(path), case.facts[i].shape) for i in indices]


def _uses_in_a_step(case: Case) -> dict[int, int]:
    """By parameter, the most operations that took it in one step."""
    graph, uses = case.graph, dict[tuple[int, int], set[int]]()
    for source, target in zip(graph.sources, graph.targets, strict=True):
        node = graph.nodes[source]
        if node.parameter >= 0 and graph.nodes[target].kind is NodeKind.OPERATION:
            uses.setdefault((node.parameter, graph.nodes[target].step), set()).add(target)
    most: dict[int, int] = {}
    for (index, _), targets in uses.items():
        most[index] = max(most.get(index, 0), len(targets))
    return most
