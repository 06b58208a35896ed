"""Facts about training that no single parameter tells: gradients cleared too early, optimizers that hold what is gone, numbers gone bad."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.capture.facts.assemble import Assembler
from gradflow.capture.facts.inventory import Member
from gradflow.capture.facts.source import site_of
from gradflow.capture.training.origins import Origin
from gradflow.capture.training.passes import Pass
from gradflow.capture.training.seen import Seen
from gradflow.graph.flow import FlowGraph
from gradflow.graph.recording import GradientCleared, NumericOrigin, Operand, RestlessStatistics, StaleOptimizer, Trouble
from gradflow.graph.site import Site


def cleared(seen: Seen, names: list[str], indices: dict[int, int]) -> tuple[GradientCleared, ...]:
    numbers = {id(watched): number for number, watched in enumerate(seen.optimizers.seen)}
    return tuple(
        GradientCleared(
            names[numbers[id(loss.optimizer)]], site_of(loss.place), tuple(sorted(indices[s] for s in loss.leaves if s in indices))
        )
        for loss in seen.optimizers.losses.values()
    )


def stale(seen: Seen, names: list[str], members: list[Member], indices: dict[int, int], reached: set[int]) -> tuple[StaleOptimizer, ...]:
    held = {serial for watched in seen.optimizers.seen for serial in watched.holds}
    found = []
    for name, watched in zip(names, seen.optimizers.seen, strict=True):
        lost = {serial for serial in watched.holds if serial not in indices}
        for replacement in seen.registry.replacements.seen:
            pairs = [(old, new) for old, new in replacement.pairs if old in lost]
            new = sorted({indices[serial] for _, serial in pairs if serial in indices and serial not in held})
            # A tensor that is held already took the place (tied weights): nothing is lost.
            pairs = [(old, new) for old, new in pairs if new not in held]
            if pairs:
                old = tuple(members[indices[serial]].name if serial in indices else f"leaf{serial}" for _, serial in pairs)
                found.append(StaleOptimizer(name, site_of(watched.place), site_of(replacement.place), tuple(new), old))
                lost -= {serial for serial, _ in pairs}
        if lost and not watched.holds.keys() & reached:
            # None of what it holds was reached by any pass: it was built for another model than the one that trains.
            new = sorted(indices[serial] for serial in reached if serial in indices and serial not in held)
            if new:
                place = seen.registry.modules[members[new[0]].root_serial].place if members[new[0]].root_serial else None
                found.append(StaleOptimizer(name, site_of(watched.place), site_of(place), tuple(new), ()))
    return tuple(found)


def restless(seen: Seen, paths: dict[int, str], indices: dict[int, int]) -> tuple[RestlessStatistics, ...]:
    """Frozen normalisation layers whose running statistics moved, in the order built."""
    found = []
    for serial, module in seen.statistics.moved():
        leaves = [seen.trace.leaf(parameter) for parameter in module.parameters(recurse=False)]
        own = sorted(indices[leaf.serial] for leaf in leaves if leaf is not None and leaf.serial in indices)
        if serial in paths and own:
            found.append(RestlessStatistics(paths[serial], type(module).__name__, tuple(own)))
    return tuple(found)


def origins(passes: Sequence[Pass], assembler: Assembler, graph: FlowGraph, indices: dict[int, int]) -> tuple[NumericOrigin, ...]:
    """One entry for an operation and a kind of trouble, with the parameters that it spoils in every pass that was looked at."""
    merged: dict[tuple[Trouble, str, Site | None], NumericOrigin] = {}
    for entry, origin in _telling(passes):
        outside = origin.operand is Operand.HOOK
        node = -1 if outside else assembler.node_of(entry.walk, origin.node, origin.sequence)
        site = site_of(origin.place) if outside else graph.site_of(node) if node >= 0 else site_of(entry.place)
        label = graph.nodes[node].label if node >= 0 else origin.name
        parameters = {indices[serial] for serial in origin.leaves if serial in indices}
        known = merged.get((origin.trouble, origin.name, site))
        merged[origin.trouble, origin.name, site] = NumericOrigin(
            trouble=origin.trouble,
            operation=label,
            autograd=origin.name,
            site=site,
            node=node,
            parameters=tuple(sorted(parameters.union(known.parameters if known is not None else ()))),
            operand=origin.operand,
            satisfied=origin.satisfied and (known is None or known.satisfied),
            forward_finite=origin.forward_finite and (known is None or known.forward_finite),
            meant=origin.meant and (known is None or known.meant),
        )
    return tuple(origin for origin in merged.values() if origin.parameters)


def erased(seen: Seen, indices: dict[int, int]) -> tuple[NumericOrigin, ...]:
    """One entry for a line that makes zeros of gradients between a backward pass and the step."""
    merged: dict[Site | None, NumericOrigin] = {}
    for erasure in seen.optimizers.erasures:
        site = site_of(erasure.place)
        known = merged.get(site)
        parameters = {indices[serial] for serial in erasure.leaves if serial in indices}
        merged[site] = NumericOrigin(
            trouble=Trouble.ZERO,
            operation=_called(site) or erasure.call or ".grad",
            autograd="",
            site=site,
            node=-1,
            parameters=tuple(sorted(parameters.union(known.parameters if known is not None else ()))),
            operand=Operand.OVERWRITTEN,
            meant=not erasure.whole and (known is None or known.meant),
        )
    return tuple(merged.values())


def _called(site: Site | None) -> str:
    """`clip_grad_norm_` for the site of `nn.utils.clip_grad_norm_(params, 1.0)`; empty where the site is no call."""
    if site is None or site.line != site.end_line:
        return ""
    head, bracket, _ = site.source[site.column - 1 : site.end_column - 1].partition("(")
    return head.rsplit(".", 1)[-1].strip() if bracket else ""


def _telling(passes: Sequence[Pass]) -> list[tuple[Pass, Origin]]:
    """All origins of zeros; of NaN and Inf only those of the first pass that had some: afterwards the weights themselves are spoiled."""
    bad = next((entry.number for entry in passes if any(o.trouble is Trouble.NONFINITE for o in entry.origins)), None)
    return [(entry, origin) for entry in passes for origin in entry.origins if origin.trouble is Trouble.ZERO or entry.number == bad]
