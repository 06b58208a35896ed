"""A parameter that gets a gradient, and that no optimizer holds.

## What it checks
Parameters of modules, and tensors that the program names itself, that require grad, that got a gradient while some optimizer took steps,
and that no optimizer holds. What is meant is told from the program, and an error is said where

- the parameter was made after every optimizer was built (a head that is added later), or was frozen then and is thawed since;
- another parameter of the same module is held, so this one was left out of the groups;
- others of the same model are held, and not all that is left out only feeds them (a trained head on a backbone that was left out is meant),
  or the optimizer that holds them has a group without any parameter (a generator of parameters that had been used up before);
- nothing of its model is held, and the model runs in train mode (a loss module with a weight of its own). A copy of another model (a
  moving average, a target) is one such only if a gradient comes to it in every step and its values are no mere targets of a loss.

The line named is the constructor of the optimizer that holds the neighbours, else of the one that took most steps.

## Why it matters
The gradient is computed, grows from step to step where `zero_grad` belongs to the optimizer, and nothing ever uses it. The layer keeps its
first weights, and the layers around it learn to live with that.

## Example
```python
optimizer = torch.optim.Adam(model.parameters())
model.head = nn.Linear(64, 10)  # Adam holds the old head's parameters, or none
```

## Use instead
```python
model.head = nn.Linear(64, 10)
optimizer = torch.optim.Adam(model.parameters())
```

or hand the new ones over: `optimizer.add_param_group({"params": model.head.parameters()})`.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, definition_site, same_line
from gradflow.checks.naming import Group, expression, listed, topmost
from gradflow.checks.order import downstream, parameter_nodes, takers
from gradflow.checks.owners import line_of, optimizer_of
from gradflow.checks.targets import targets_only
from gradflow.graph.blame import upstream
from gradflow.graph.recording import Membership, OptimizerFact, ParameterFact
from gradflow.report import Finding, FindingSite, Severity
from gradflow.verdict import Verdict, live_steps

CODE = "GF301"
NAME = "not-in-optimizer"
SEVERITY = Severity.ERROR

_REACHED = (Verdict.LIVE, Verdict.ZERO, Verdict.NONFINITE)


def find(case: Case) -> Iterable[Finding]:
    """One finding for each model and each way to be missed."""
    faults = forgotten(case)
    ways = {True: "made-late", False: "left-out"}
    for root in dict.fromkeys(case.facts[i].root for i in faults):
        members = [i for i in faults if case.facts[i].root == root]
        if not any(case.verdicts[i] is not Verdict.ZERO for i in members):
            continue
        for late, reason in ways.items():
            chosen = [i for i in members if (case.facts[i].made_late or case.facts[i].thawed) is late]
            if chosen:
                yield _finding(case, root, chosen, reason)


def forgotten(case: Case) -> list[int]:
    """Indices of the parameters that should be held by an optimizer, by the rules on the page of this check."""
    if not any(optimizer.steps for optimizer in case.recording.optimizers):
        return []
    faults: list[int] = []
    left_out = left_out_of_optimizers(case)
    for root in dict.fromkeys(case.facts[i].root for i in left_out):
        members = [i for i in left_out if case.facts[i].root == root]
        held = [i for i, fact in enumerate(case.facts) if fact.root == root and fact.optimizers and fact.requires_grad]
        faults += _faults_of_root(case, members, held)
    return sorted(faults)


def left_out_of_optimizers(case: Case) -> list[int]:
    """Indices of the registered parameters that got a gradient and that nothing is known to update; in no finding yet."""
    twins = any(fact.twin and not fact.optimizers for fact in case.facts)
    targets = targets_only(case.graph) if twins else frozenset()
    return [
        i
        for i in case.free(*_REACHED)
        if (fact := case.facts[i]).membership in (Membership.REGISTERED, Membership.LOOSE)
        and not fact.optimizers
        and not fact.written
        and not fact.moved
        and any(step.delivered for step in fact.steps)
        and not _copies_another_model(case, fact, i in targets)
    ]


def _copies_another_model(case: Case, fact: ParameterFact, is_target: bool) -> bool:
    """Whether its model is a copy of another, and not trained by itself: a target or an average gets no gradient, or runs in eval mode."""
    if not fact.twin or fact.twin == fact.root or not any(other.root == fact.twin for other in case.facts):
        return False
    in_every_step = len(fact.steps) > 1 and live_steps(fact) == len(fact.steps)
    return fact.evaluating or not in_every_step or is_target


def _faults_of_root(case: Case, members: list[int], held: list[int]) -> list[int]:
    facts = case.facts
    if not held:
        # Nobody trains this model: a perceptual network runs in eval mode, a loss module does not.
        return [i for i in members if facts[i].made_late or facts[i].thawed or not facts[i].evaluating]
    owners = {facts[i].owner for i in held}
    sure = [i for i in members if facts[i].made_late or facts[i].thawed or facts[i].owner in owners - {""}]
    rest = [i for i in members if i not in sure]
    return members if rest and (_empty_group(case, held) or not _only_feeds(case, rest, held)) else sure


def _empty_group(case: Case, held: list[int]) -> bool:
    """Whether an optimizer that holds one of `held` (indices) has a group with nothing in it: something was meant to be there."""
    holders = {name for i in held for name in case.facts[i].optimizers}
    return any(optimizer.empty_group for optimizer in case.recording.optimizers if optimizer.name in holders)


def _only_feeds(case: Case, members: list[int], held: list[int]) -> bool:
    """Whether each of `members` is taken before any of `held` has a part in the values, and feeds one of them."""
    graph = case.graph
    after = downstream(graph, parameter_nodes(graph, held))
    taking = takers(graph, held)
    before = upstream(graph, tuple(node for nodes in taking.values() for node in nodes), live_only=True)
    mine = takers(graph, members)
    feeding = {graph.nodes[number].parameter for number in parameter_nodes(graph, members) if before[number]}
    shared = {node for nodes in taking.values() for node in nodes}
    return all(i in feeding and not any(after[node] or node in shared for node in mine.get(i, ())) for i in members)


def _finding(case: Case, root: str, members: list[int], reason: str) -> Finding:
    siblings = [i for i, fact in enumerate(case.facts) if fact.root == root and fact.optimizers]
    optimizer = optimizer_of(case, siblings)
    frozen = [i for i, verdict in enumerate(case.verdicts) if verdict is Verdict.FROZEN]
    groups = topmost(case.facts, members, frozen)
    labels = listed([group.label for group in groups])
    verb = "gets" if len(groups) == 1 else "get"
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"{labels} {verb} a gradient, and no optimizer holds {'it' if len(groups) == 1 else 'them'}",
        case.names(members),
        sites=tuple(_sites(case, optimizer, groups)),
        reason=reason,
        help=tuple(_helps(case, optimizer, groups, members)),
        notes=tuple(_notes(case, optimizer, members)),
    )


def _sites(case: Case, optimizer: OptimizerFact | None, groups: list[Group]) -> Iterable[FindingSite]:
    built = optimizer.site if optimizer is not None else None
    yield from cause_site(built, "takes parameters, and not these")
    shown = {built} if built is not None else set()
    for group in groups:
        definition = case.facts[group.members[0]].definition
        if definition is not None and not any(same_line(definition, other) for other in shown):
            shown.add(definition)
            yield from definition_site(definition, "defined here")


def _helps(case: Case, optimizer: OptimizerFact | None, groups: list[Group], members: list[int]) -> Iterable[str]:
    name = optimizer.name if optimizer is not None else "optimizer"
    prefixed = len({fact.root for fact in case.facts if fact.root}) > 1
    chosen = [_parameters_of(case, group, prefixed) for group in groups]
    params = chosen[0] if len(chosen) == 1 else f"[{', '.join(map(_unpacked, chosen))}]"
    yield f'to train {"it" if len(members) == 1 else "them"}, hand over what is missing: `{name}.add_param_group({{"params": {params}}})`'
    if any(case.facts[i].made_late for i in members) and optimizer is not None:
        yield f"or build `{name}`{line_of(optimizer)} after all layers are made"
    elif any(case.facts[i].thawed for i in members) and optimizer is not None:
        yield f"or build `{name}`{line_of(optimizer)} after the parameters are thawed"


def _parameters_of(case: Case, group: Group, prefixed: bool) -> str:
    text = expression(group.root, group.path, prefixed=prefixed)
    alone = len(group.members) == 1 and case.facts[group.members[0]].name == group.path
    return text if alone else f"{text}.parameters()"


def _unpacked(text: str) -> str:
    return f"*{text}" if text.endswith(".parameters()") else text


def _notes(case: Case, optimizer: OptimizerFact | None, members: list[int]) -> Iterable[str]:
    facts = [case.facts[i] for i in members]
    them = "it was" if len(facts) == 1 else "they were"
    where = f"`{optimizer.name}` was built{line_of(optimizer)}" if optimizer is not None else "the optimizers were built"
    if optimizer is not None and optimizer.empty_group:
        yield f"a group of `{optimizer.name}` is empty: `parameters()` gives a generator, which is used up when it was read once"
    if all(fact.made_late for fact in facts):
        yield f"{them} made after {where}"
    elif all(fact.thawed for fact in facts):
        yield f"{them} frozen when {where}, and {'requires' if len(facts) == 1 else 'require'} grad since"
