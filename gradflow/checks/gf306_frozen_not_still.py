"""A layer that is frozen, and moves all the same.

## What it checks
Parameters with `requires_grad=False`, and what moved though they were frozen. `reason` says what:

- `statistics`: the running mean and variance of a normalisation layer in train mode, all of whose parameters are frozen;
- `stale-gradient`: `.grad` holds a gradient from before the freezing, and the optimizer applies it again in every step;
- `weight-decay` and `momentum`: `.grad` holds zeros (`zero_grad(set_to_none=False)`), and the optimizer still decays the weights, or
  follows the momentum that it gathered before.

The last two are said too of parameters that still require a gradient, learned before, and then ran under `no_grad` to the end, in two steps
at least: that is another way to freeze.

The line named is the one that froze them; where that was not seen, the definition or the optimizer's constructor. Copies of another module
(a moving average, a target network) and values that the program writes between steps are meant, and no finding. It is info where no
optimizer holds anything of the same model: a model that nobody trains.

## Why it matters
A frozen layer is meant to stay what it was. `requires_grad=False` stops the gradient and nothing else: statistics drift towards the new
data, so that the same weights give other outputs, and an optimizer that still has something in `.grad` goes on stepping.

## Example
```python
model.backbone.requires_grad_(False)
model.train()  # BatchNorm in the backbone still updates its running statistics
```

## Use instead
```python
model.backbone.requires_grad_(False)
model.train()
model.backbone.eval()  # after each model.train()
```

To freeze in the middle of a training, also drop what is left over: `for p in model.backbone.parameters(): p.grad = None`.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, count, definition_site, same_line
from gradflow.checks.naming import expression, listed, spoken, topmost
from gradflow.checks.owners import optimizer_named
from gradflow.graph.recording import ParameterFact, RestlessStatistics
from gradflow.graph.site import Site
from gradflow.report import Finding, FindingSite, Severity
from gradflow.verdict import Verdict

CODE = "GF306"
NAME = "frozen-not-still"
SEVERITY = Severity.WARNING

_LEAST_STEPS = 2
_WHY = {
    "stale-gradient": "a gradient from before is left in `.grad`, and each step applies it again",
    "weight-decay": "`.grad` holds zeros, so that each step decays the weights",
    "momentum": "`.grad` holds zeros, so that each step follows the momentum from before",
}


def find(case: Case) -> Iterable[Finding]:
    """One finding for each model with restless statistics, and one for each optimizer and way in which it moves what is frozen."""
    layers = [layer for layer in case.recording.restless if not any(_is_meant(case.facts[i]) for i in layer.parameters)]
    for root in dict.fromkeys(case.facts[layer.parameters[0]].root for layer in layers):
        yield _statistics(case, root, [layer for layer in layers if case.facts[layer.parameters[0]].root == root])
    groups: dict[tuple[str, str], list[int]] = {}
    for index in case.free(Verdict.FROZEN):
        fact = case.facts[index]
        reason = "" if _is_meant(fact) or not fact.optimizers else _moved_by_step(fact)
        if reason:
            groups.setdefault((fact.optimizers[0], reason), []).append(index)
    muted = _muted(case)
    for index in muted:
        fact = case.facts[index]
        reason = "stale-gradient" if fact.steps[-1].stale_norm else "weight-decay" if fact.decayed else "momentum"
        groups.setdefault((fact.optimizers[0], reason), []).append(index)
    for (optimizer, reason), members in groups.items():
        yield _stepped(case, optimizer, reason, members, next((muted[i] for i in members if i in muted), None))


def _muted(case: Case) -> dict[int, Site | None]:
    """Parameters (indices) that learned, and then ran with gradients off to the end while the optimizer went on to move them, each with the
    line that switches gradients off."""
    free = ((i, case.facts[i]) for i in case.free(Verdict.LIVE))
    chosen = {i for i, fact in free if fact.optimizers and not _is_meant(fact) and _went_quiet(fact)}
    if not chosen:
        return {}
    graph, found = case.graph, dict[int, Site | None]()
    for source, target in zip(graph.sources, graph.targets, strict=True):
        index, node = graph.nodes[source].parameter, graph.nodes[target]
        if index in chosen and node.region >= 0 and node.step >= case.recording.backward_passes - 1:
            place = graph.cuts[node.region].site
            found[index] = graph.sites[place] if place >= 0 else None
    return dict(sorted(found.items()))


def _went_quiet(fact: ParameterFact) -> bool:
    last = fact.steps[-_LEAST_STEPS:]
    moved = len(last) == _LEAST_STEPS and all(not step.reached and step.moved and step.stale_norm is not None for step in last)
    first = next((k for k, step in enumerate(fact.steps) if not step.reached), len(fact.steps))
    return moved and first > 0 and not any(step.reached for step in fact.steps[first:])


def _is_meant(fact: ParameterFact) -> bool:
    return bool(fact.twin) or fact.written


def _moved_by_step(fact: ParameterFact) -> str:
    """What a step took to move the parameter while it was frozen, empty where none did."""
    steps = [step for step in fact.steps if step.frozen and step.moved and step.stale_norm is not None]
    if not steps:
        return ""
    if any(step.stale_norm for step in steps):
        return "stale-gradient"
    return "weight-decay" if fact.decayed else "momentum"


def _statistics(case: Case, root: str, layers: list[RestlessStatistics]) -> Finding:
    members = sorted(index for layer in layers for index in layer.parameters)
    facts = [case.facts[i] for i in members]
    trained = any(fact.optimizers and fact.requires_grad for fact in case.facts if fact.root == root)
    kinds = sorted({layer.kind for layer in layers})
    subject = listed([layer.module for layer in layers])
    those = "its" if len(layers) == 1 else "their"
    prefixed = len({fact.root for fact in case.facts if fact.root}) > 1
    still = topmost(case.facts, [i for i, verdict in enumerate(case.verdicts) if verdict is Verdict.FROZEN])
    around = [group for group in still if set(group.members) & set(members)]
    calls = [f"{expression(group.root, _module_of(case, group.path, group.members), prefixed=prefixed)}.eval()" for group in around[:3]]
    return Finding(
        CODE,
        NAME,
        SEVERITY if trained else Severity.INFO,
        f"{subject} {'is' if len(layers) == 1 else 'are'} frozen, and {those} running statistics move: {those} mode is train",
        case.names(members),
        sites=tuple(_sites(facts, "freezes the parameters, not the statistics", None)),
        reason="statistics",
        help=(f"call `{'`, `'.join(calls)}` after each `train()`",),
        notes=(
            f"{count(len(layers), 'layer')} of class {listed(kinds)}: each forward pass in train mode updates running mean and variance",
        ),
    )


def _module_of(case: Case, path: str, members: tuple[int, ...]) -> str:
    """The path of a module: a group of one parameter is named for the parameter, which has no mode."""
    return case.facts[members[0]].owner if any(case.facts[i].name == path for i in members) else path


def _stepped(case: Case, name: str, reason: str, members: list[int], muted: Site | None) -> Finding:
    facts = [case.facts[i] for i in members]
    optimizer = optimizer_named(case, name)
    they, them, be = ("it", "it", "is") if len(members) == 1 else ("they", "them", "are")
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"{spoken(case.facts, members)} {be} frozen, and `{name}` still moves {them}: {_WHY[reason]}",
        case.names(members),
        sites=tuple(
            _sites(facts, "frozen here, with the gradient left in place", optimizer.site if optimizer is not None else None, muted)
        ),
        reason=reason,
        help=(f"set `.grad = None` where {they} {be} frozen, or leave {them} out of `{name}` from then on",),
    )


def _sites(facts: list[ParameterFact], note: str, built: Site | None, muted: Site | None = None) -> Iterable[FindingSite]:
    frozen = muted or next((fact.frozen_at for fact in facts if fact.frozen_at is not None), None)
    defined = next((fact.definition for fact in facts if fact.definition is not None), None)
    yield from cause_site(frozen or built or defined, note if frozen else "still holds them" if built else "defined here, and frozen")
    if built is not None and frozen is not None and not same_line(built, frozen):
        yield from definition_site(built, "still holds them")
