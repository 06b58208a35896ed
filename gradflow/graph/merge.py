"""Several recordings of one program, one of each of its processes, as one recording. Pure; no judgement but that of a single step."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace

from gradflow.graph.flow import Cut, FlowGraph, Node
from gradflow.graph.recording import ParameterFact, Recording, StepFact


def merge(base: Recording, others: Sequence[Recording], better: Callable[[StepFact, StepFact], StepFact]) -> Recording:
    """`base` with what the others saw: a parameter is known by its name, and step n of all of them is one step.

    `better` chooses the fact that stands for a step. How values flowed is told by `base`; of another recording only where that has
    parameters of its own, as a stage of a pipeline has.
    """
    merged = base
    for other in others:
        names = {fact.name for fact in merged.parameters}
        if any(fact.name not in names for fact in other.parameters):
            merged = _joined(merged, other)
        theirs = {fact.name: fact for fact in other.parameters}
        facts = [_united(fact, theirs[fact.name], better) if fact.name in theirs else fact for fact in merged.parameters]
        merged = replace(
            merged,
            parameters=tuple(facts),
            backward_passes=max(merged.backward_passes, other.backward_passes),
            optimizer_steps=max(merged.optimizer_steps, other.optimizer_steps),
            notes=(*merged.notes, *(note for note in other.notes if note not in merged.notes)),
            crash=merged.crash or other.crash,
            timed_out=merged.timed_out or other.timed_out,
        )
    return merged


def _united(fact: ParameterFact, other: ParameterFact, better: Callable[[StepFact, StepFact], StepFact]) -> ParameterFact:
    steps = {step.step: step for step in fact.steps}
    for step in other.steps:
        steps[step.step] = better(steps[step.step], step) if step.step in steps else step
    return replace(
        fact,
        requires_grad=fact.requires_grad or other.requires_grad,
        stepped=fact.stepped or other.stepped,
        moved=fact.moved if not other.moved else True,
        opaque=fact.opaque and other.opaque,
        steps=tuple(steps[number] for number in sorted(steps)),
    )


def _joined(one: Recording, other: Recording) -> Recording:
    """`one`, and after it the graph and the facts of `other`; parameters that both have are those of `one`."""
    index = {fact.name: number for number, fact in enumerate(one.parameters)}
    new = [fact for fact in other.parameters if fact.name not in index]
    index.update({fact.name: number for number, fact in enumerate(new, start=len(one.parameters))})
    moved = [index[fact.name] for fact in other.parameters]
    offset = len(one.graph.nodes)
    known = {entry.name for entry in one.optimizers}

    def indices(parameters: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(moved[number] for number in parameters)

    return replace(
        one,
        graph=_side_by_side(one.graph, other.graph, moved),
        parameters=(*one.parameters, *new),
        # the nodes of the losses are those of one graph
        optimizers=tuple(
            replace(entry, losses=()) for entry in (*one.optimizers, *(entry for entry in other.optimizers if entry.name not in known))
        ),
        rebuilt=(*one.rebuilt, *(replace(entry, node=entry.node + offset) for entry in other.rebuilt)),
        dropped=(*one.dropped, *(replace(entry, parameters=indices(entry.parameters)) for entry in other.dropped)),
        cleared=(*one.cleared, *(replace(entry, parameters=indices(entry.parameters)) for entry in other.cleared)),
        stale=(*one.stale, *(replace(entry, parameters=indices(entry.parameters)) for entry in other.stale)),
        restless=(*one.restless, *(replace(entry, parameters=indices(entry.parameters)) for entry in other.restless)),
        origins=(
            *one.origins,
            *(
                replace(entry, node=entry.node + offset if entry.node >= 0 else -1, parameters=indices(entry.parameters))
                for entry in other.origins
            ),
        ),
    )


def _side_by_side(one: FlowGraph, other: FlowGraph, parameters: Sequence[int]) -> FlowGraph:
    """Both graphs in one, without an edge between them; `parameters[i]` is the new index of the other's parameter i."""
    nodes, sites, cuts = len(one.nodes), len(one.sites), len(one.cuts)

    def node(entry: Node) -> Node:
        return replace(
            entry,
            site=entry.site + sites if entry.site >= 0 else -1,
            region=entry.region + cuts if entry.region >= 0 else -1,
            parameter=parameters[entry.parameter] if entry.parameter >= 0 else -1,
        )

    def cut(entry: Cut) -> Cut:
        return replace(entry, site=entry.site + sites if entry.site >= 0 else -1)

    return FlowGraph(
        nodes=(*one.nodes, *map(node, other.nodes)),
        sources=one.sources + array("q", (number + nodes for number in other.sources)),
        targets=one.targets + array("q", (number + nodes for number in other.targets)),
        kinds=one.kinds + other.kinds,
        edge_cuts=one.edge_cuts + array("q", (number + cuts if number >= 0 else -1 for number in other.edge_cuts)),
        cuts=(*one.cuts, *map(cut, other.cuts)),
        sites=(*one.sites, *other.sites),
        losses=(*one.losses, *(number + nodes for number in other.losses)),
        backward=one.backward,
    ).check()
