"""Turns what a session saw into a `Recording`: one fact per trainable leaf, and the flow graph."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch

from gradflow.capture.facts.assemble import WALK_LIMIT, Assembler, PassGraph
from gradflow.capture.facts.definitions import definition_of, step_into
from gradflow.capture.facts.inventory import Member, take_inventory
from gradflow.capture.facts.source import function_name, parsed, site_at, site_of
from gradflow.capture.facts.training_facts import cleared, erased, origins, restless, stale
from gradflow.capture.facts.twins import find_twins
from gradflow.capture.training.backward_drawing import finished
from gradflow.capture.training.numbers import fingerprints, has_values, local, weight_norms
from gradflow.capture.training.optimizers import WatchedOptimizer
from gradflow.capture.training.passes import Pass
from gradflow.capture.training.seen import Seen
from gradflow.graph.blame import upstream
from gradflow.graph.flow import FlowGraph, NodeKind
from gradflow.graph.recording import (
    GradientDropped,
    LossRebuilt,
    Membership,
    NumericOrigin,
    Operand,
    OptimizerFact,
    ParameterFact,
    Recording,
    StepFact,
    Target,
    Trouble,
)
from gradflow.graph.site import Site

FUNCTIONAL = "it is trained through torch.func, whose gradients are values and not .grad"


def build_recording(seen: Seen, target: Target, *, crash: str, timed_out: bool, notes: tuple[str, ...]) -> Recording:
    """All that was seen, as plain values."""
    trace, passes = seen.trace, seen.passes.seen
    reached = {serial for entry in passes for serial in entry.reached}
    held = {serial for watched in seen.optimizers.seen for serial in watched.holds}
    inventory = take_inventory(seen.registry, trace, seen.roots, reached, held, seen.names, _reached_again(passes))
    names = _optimizer_names(seen.optimizers.seen)
    members = seen.members = inventory.members
    norms = weight_norms([member.tensor for member in members])
    twins = find_twins([(root.name if len(seen.roots) > 1 else "", root.module) for root in seen.roots])
    facts = _completed([_fact(seen, member, names, twins) for member in members], norms)
    indices = {serial: index for index, member in enumerate(members) for serial in member.leaves}
    assembler = Assembler(indices, [fact.name for fact in facts], inventory.paths)
    leaves = [step for serial in indices if (step := trace.leaves[serial].step) is not None]
    leaks = [step for steps in trace.leaky_code.values() for step in steps.values()]
    graph = assembler.build([PassGraph(entry.roots, entry.walk) for entry in passes], [*leaves, *leaks])
    spoilers = (*origins(passes, assembler, graph, indices), *erased(seen, indices))
    return Recording(
        target=target,
        graph=_with_drawing(graph, passes, assembler, indices, [fact.name for fact in facts]),
        parameters=tuple(_without_noise(facts, spoilers)),
        optimizers=tuple(_optimizer_fact(seen, watched, names[index], assembler) for index, watched in enumerate(seen.optimizers.seen)),
        backward_passes=seen.passes.count,
        optimizer_steps=seen.optimizers.steps,
        rebuilt=_rebuilt(seen, assembler, inventory.paths),
        dropped=_dropped(passes, indices),
        cleared=cleared(seen, names, indices),
        stale=stale(seen, names, members, indices, reached),
        restless=restless(seen, inventory.paths, indices),
        origins=spoilers,
        notes=(*notes, *_own_notes(seen, passes, facts, graph, reached, indices)),
        crash=crash,
        timed_out=timed_out,
    )


def _reached_again(passes: Sequence[Pass]) -> set[int]:
    """Serials of the leaves that more than one pass brought a gradient: what is made anew for each batch is not among them."""
    counts = Counter(serial for entry in passes if entry.into_grad for serial in entry.reached)
    return {serial for serial, times in counts.items() if times > 1}


def _with_drawing(graph: FlowGraph, passes: Sequence[Pass], assembler: Assembler, indices: dict[int, int], names: list[str]) -> FlowGraph:
    raw = next((entry.drawing for entry in passes if entry.drawing is not None), None)
    return graph if raw is None else replace(graph, backward=finished(raw, indices, names, assembler.node_of))


def _optimizer_names(seen: Sequence[WatchedOptimizer]) -> list[str]:
    names: list[str] = []
    for number, watched in enumerate(seen):
        name = watched.name or watched.cls.__name__
        names.append(name if name not in names else f"{name}#{number + 1}")
    return names


def _fact(seen: Seen, member: Member, names: list[str], twins: dict[int, str]) -> ParameterFact:
    trace = seen.trace
    first = trace.leaves[member.leaves[0]]
    tensor = member.tensor if member.tensor is not None else first.ref()
    holders = [
        (names[index], watched)
        for index, watched in enumerate(seen.optimizers.seen)
        if any(serial in watched.holds for serial in member.leaves)
    ]
    shape = tuple(tensor.shape) if tensor is not None else first.shape
    elements = 1
    for size in shape:
        elements *= int(size)
    requires_grad = tensor.requires_grad if tensor is not None else True
    steps = steps_of(seen, member.leaves, [watched for _, watched in holders])
    plainly_moved = any(step.moved for step in steps)
    plainly_live = member.membership is Membership.REGISTERED and any(step.delivered for step in steps)
    return ParameterFact(
        name=member.name,
        root=member.root,
        shape=tuple(int(size) for size in shape),
        elements=elements,
        dtype=str(tensor.dtype).removeprefix("torch.") if tensor is not None else first.dtype,
        requires_grad=requires_grad,
        membership=member.membership,
        owner=member.owner,
        owner_class=member.owner_class,
        definition=None if plainly_live else _definition(seen, member),
        optimizers=tuple(name for name, _ in holders),
        stepped=any(watched.steps for _, watched in holders),
        moved=_moved(seen, member),
        written=any(trace.leaves[serial].written for serial in member.leaves) and seen.optimizers.steps > 0,
        evaluating=any(root.module is member.root_module and not root.trained for root in seen.roots),
        twin=_twin(member, twins),
        made_late=_made_late(seen, member),
        thawed=bool(seen.optimizers.seen) and all(first.serial in watched.frozen for watched in seen.optimizers.seen),
        peak_lr=max((watched.peaks[first.serial] for _, watched in holders if first.serial in watched.peaks), default=None),
        largest_weight=_largest(tensor) if holders and not plainly_moved else None,
        cast=site_of(first.cast),
        frozen_at=None if requires_grad else site_of(first.frozen_at),
        decayed=any(first.serial in watched.decayed for _, watched in holders),
        resets=max((watched.resets.get(serial, 0) for _, watched in holders for serial in member.leaves), default=0),
        written_at=site_of(next((place for serial in member.leaves if (place := trace.leaves[serial].written_at) is not None), None)),
        opaque=_opaque(seen, holders),
        zero_share=next((seen.zero_shares[serial] for serial in member.leaves if serial in seen.zero_shares), None),
        steps=steps,
    )


def _definition(seen: Seen, member: Member) -> Site | None:
    if member.membership is Membership.RECREATED:
        return site_of(seen.trace.leaves[member.leaves[0]].place)
    if member.root_module is not None:
        site = definition_of(member.root_module, member.path)
        if site is not None:
            return site
        built = seen.registry.modules.get(member.root_serial)
        if built is not None and built.place is not None:
            return site_of(built.place)
    return site_of(seen.trace.leaves[member.leaves[0]].place)


def _moved(seen: Seen, member: Member) -> bool | None:
    before = seen.optimizers.first_fingerprints.get(member.leaves[0])
    return None if before is None or member.tensor is None else fingerprints([member.tensor])[0] != before


def _opaque(seen: Seen, holders: list[tuple[str, WatchedOptimizer]]) -> str:
    if seen.passes.functional and not seen.passes.seen:
        return FUNCTIONAL
    if holders and seen.optimizers.steps and not any(watched.steps for _, watched in holders):
        return f"its optimizer `{holders[0][0]}` has not stepped yet"
    return ""


def steps_of(seen: Seen, leaves: Sequence[int], holders: Sequence[WatchedOptimizer]) -> tuple[StepFact, ...]:
    """What each step brought the parameter that is these leaves (serials): the steps of `holders`, else the backward passes."""
    stepped = [facts for watched in holders for serial in leaves if (facts := watched.facts.get(serial))]
    if stepped:
        return tuple(fact for facts in stepped for fact in facts)
    steps = []
    for number, entry in enumerate((entry for entry in seen.passes.seen), start=1):
        arrived = [entry.facts[serial] for serial in leaves if serial in entry.facts]
        steps.append(
            StepFact(
                step=number,
                reached=any(serial in entry.reached for serial in leaves),
                delivered=any(serial in entry.delivered for serial in leaves),
                grad_norm=max((fact.norm for fact in arrived), default=None),
                finite=all(fact.finite for fact in arrived),
            )
        )
    return tuple(steps)


def _completed(facts: list[ParameterFact], norms: list[float | None]) -> list[ParameterFact]:
    """The facts with what only all of them together tell: whether siblings are trained, and what a step's rounding is measured against."""
    trained = {fact.root for fact in facts if any(step.reached for step in fact.steps)}
    largest: dict[tuple[str, int], float] = {}
    for fact in facts:
        for step in fact.steps:
            if step.grad_norm is not None and step.finite:
                key = (fact.owner, step.step)
                largest[key] = max(largest.get(key, 0.0), step.grad_norm)
    return [
        replace(
            fact,
            weight_norm=norm,
            siblings_trained=fact.root in trained,
            steps=tuple(replace(step, scale=largest.get((fact.owner, step.step))) for step in fact.steps),
        )
        for fact, norm in zip(facts, norms, strict=True)
    ]


def _without_noise(facts: list[ParameterFact], spoilers: Sequence[NumericOrigin]) -> list[ParameterFact]:
    """The facts with zeros in place of what a normalisation over one element hands on, which is rounding and nothing else."""
    noisy = {
        index for origin in spoilers if origin.operand is Operand.SHAPE and origin.trouble is Trouble.ZERO for index in origin.parameters
    }
    return [
        replace(fact, steps=tuple(replace(step, grad_norm=0.0) if step.grad_norm else step for step in fact.steps))
        if index in noisy
        else fact
        for index, fact in enumerate(facts)
    ]


def _optimizer_fact(seen: Seen, watched: WatchedOptimizer, name: str, assembler: Assembler) -> OptimizerFact:
    held = [tensor for serial in watched.holds if (tensor := seen.trace.leaves[serial].ref()) is not None]
    graph_losses = frozenset(assembler.builder.losses)
    return OptimizerFact(
        name=name,
        kind=watched.cls.__name__,
        site=site_of(watched.place),
        steps=watched.steps,
        held=len(watched.holds),
        trainable=sum(tensor.requires_grad for tensor in held),
        scheduled=watched.scheduled,
        waited=seen.optimizers.waited(watched),
        empty_group=watched.empty_group,
        losses=tuple(sorted({number for serial in watched.losses if (number := assembler.number.get(serial, -1)) in graph_losses})),
    )


def _twin(member: Member, twins: dict[int, str]) -> str:
    """The twin of the outermost module around a parameter that has one."""
    module = member.root_module
    for part in ("", *member.path.split(".")[:-1]):
        module = module if not part or module is None else step_into(module, part)
        if module is not None and id(module) in twins:
            return twins[id(module)]
    return ""


def _made_late(seen: Seen, member: Member) -> bool:
    leaf = seen.trace.leaves[member.leaves[0]]
    optimizers = seen.optimizers.seen
    return leaf.place is not None and bool(optimizers) and all(leaf.serial > watched.last_leaf for watched in optimizers)


def _largest(tensor: torch.Tensor | None) -> float | None:
    if tensor is None or not has_values(tensor) or not tensor.is_floating_point():
        return None
    with torch.no_grad():
        value = local(tensor.detach())
    return float(value.abs().max()) if value.numel() else None


def _rebuilt(seen: Seen, assembler: Assembler, paths: dict[int, str]) -> tuple[LossRebuilt, ...]:
    found: dict[int, LossRebuilt] = {}
    for entry in seen.passes.seen:
        for step in entry.rebuilt:
            node = assembler.number.get(step.serial)
            if node is not None:
                found.setdefault(node, LossRebuilt(node, site_of(step.place, paths.get(step.module, ""))))
    return tuple(found[node] for node in sorted(found))


def _dropped(passes: Sequence[Pass], indices: dict[int, int]) -> tuple[GradientDropped, ...]:
    merged: dict[type, set[int]] = {}
    for entry in passes:
        for dropped in entry.dropped:
            merged.setdefault(dropped.function, set()).update(indices[serial] for serial in dropped.leaves if serial in indices)
    return tuple(
        GradientDropped(function.__name__, _return_of(function), tuple(sorted(parameters)))
        for function, parameters in merged.items()
        if parameters
    )


def _return_of(function: type) -> Site | None:
    """The `return` of a Function's backward: the one that gives None, else the last."""
    code = getattr(vars(function).get("backward"), "__func__", None)
    code = getattr(code, "__code__", None)
    tree = None if code is None else parsed(code.co_filename)
    if code is None or tree is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "backward" and _first_line(node) == code.co_firstlineno:
            returns = [inner for inner in ast.walk(node) if isinstance(inner, ast.Return)]
            returns.sort(key=lambda inner: ("None" not in ast.unparse(inner), -inner.lineno))
            if returns:
                found = returns[0]
                span = (found.lineno, found.end_lineno or found.lineno, found.col_offset, found.end_col_offset or 0)
                return site_at(code.co_filename, span, function_name(code))
    return site_at(code.co_filename, (code.co_firstlineno, code.co_firstlineno, 0, 0), function_name(code))


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _own_notes(
    seen: Seen, passes: Sequence[Pass], facts: list[ParameterFact], graph: FlowGraph, reached: set[int], indices: dict[int, int]
) -> list[str]:
    notes = []
    if seen.passes.functional:
        notes.append("part of this program takes gradients through torch.func, which is not judged")
    if any(entry.walk is not None and len(entry.walk.kinds) > WALK_LIMIT for entry in passes):
        notes.append(f"autograd's graph has more than {WALK_LIMIT:,} nodes: it was judged, and left out of the flow graph")
    if seen.traced:
        notes.extend(_incomplete(passes, facts, graph, reached, indices))
    return notes


def _incomplete(
    passes: Sequence[Pass], facts: list[ParameterFact], graph: FlowGraph, reached: set[int], indices: dict[int, int]
) -> list[str]:
    """The self-check: where the live edges of the graph and autograd's own answer differ, the report says so, and autograd is right."""
    if any(not entry.roots or entry.walk is None for entry in passes):
        return []
    seen = upstream(graph, graph.losses, live_only=True)
    lit = {node.parameter for number, node in enumerate(graph.nodes) if seen[number] and node.kind is NodeKind.PARAMETER}
    truth = {indices[serial] for serial in reached if serial in indices}
    nested = {indices[serial] for entry in passes for serial in entry.nested if serial in indices}
    differing = sorted(facts[index].name for index in (lit ^ truth) - nested if facts[index].membership is not Membership.RECREATED)
    return [f"trace incomplete for {', '.join(differing)}: the verdict is autograd's"] if differing else []
