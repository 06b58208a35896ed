"""Why a layer learns or does not, even when it is live: its way to the loss, the cuts on it, its neighbours. Pure: asks a report and its
flow graph, and measures nothing."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from gradflow.graph.blame import blame, incoming, outgoing, upstream
from gradflow.graph.flow import EdgeKind, FlowGraph, NodeKind
from gradflow.report import Finding, Focus, FocusCut, Neighbour, ParameterRow, Report
from gradflow.verdict import WORST_FIRST, Verdict

FARTHEST = 5_000
"""Nodes: so far a neighbour is looked for."""
_UNREACHED = frozenset({Verdict.SEVERED, Verdict.ESCAPED, Verdict.UNUSED, Verdict.UNKNOWN})


def with_focus(report: Report, patterns: Sequence[str]) -> Report:
    """The report with a `Focus` on each parameter that one of `patterns` names, and a note for each pattern that names none.

    A pattern is a glob over names (`enc.3.*`), a name, or the path of a module, which stands for all in it.
    """
    chosen = [number for number, row in enumerate(report.parameters) if any(names_parameter(pattern, row.name) for pattern in patterns)]
    if not patterns or not report.parameters:
        return report
    lost = [pattern for pattern in patterns if not any(names_parameter(pattern, row.name) for row in report.parameters)]
    notes = tuple(f"`--param {pattern}` names no parameter{_nearest(pattern, report.parameters)}" for pattern in lost)
    return replace(report, focus=_Focuser(report, chosen).all(), notes=(*report.notes, *notes))


def names_parameter(pattern: str, name: str) -> bool:
    """Whether `pattern` stands for the parameter `name`: as a glob, as its name, or as the path of a module around it."""
    # A name with an index, `hidden[0].weight`, is a set of characters to fnmatch.
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)


def _nearest(pattern: str, rows: Sequence[ParameterRow]) -> str:
    import difflib  # only where a pattern is wrong

    near = difflib.get_close_matches(pattern, [row.name for row in rows], n=1, cutoff=0.4)
    return f"; there is `{near[0] if near else rows[0].name}`"


def why(row: ParameterRow, cuts: Sequence[FocusCut]) -> str:
    """One sentence on why the parameter learns, or does not."""
    live, steps = row.live_in
    match row.verdict:
        case Verdict.LIVE:
            return _why_live(row, f"a gradient arrives in {live} of {_plural(steps, 'step')}")
        case Verdict.SEVERED:
            stops = ", then ".join(f"`{cut.label}`" for cut in cuts) or "a cut that was not recorded"
            return f"it does not learn: its value reaches the loss, but {stops} stops the gradient"
        case Verdict.ZERO:
            return f"it does not learn: the gradient that arrives is exactly zero in {_each(steps)}"
        case Verdict.NONFINITE:
            return "it does not learn: its gradient holds NaN or Inf"
        case Verdict.UNDEFINED:
            return "it does not learn: autograd's graph leads to it, but the backward pass brings it nothing"
        case Verdict.ESCAPED:
            return "it does not learn: its value leaves torch, and was not seen to come back to the loss"
        case Verdict.UNUSED:
            return "it does not learn: no operation takes it on the way to the loss"
        case Verdict.FROZEN:
            return "it does not learn: it is frozen, `requires_grad` is False"
        case Verdict.UNKNOWN:
            return f"this run cannot tell{': ' + row.because if row.because else ''}"


def _why_live(row: ParameterRow, arrives: str) -> str:
    if row.moved is False:
        held = "" if row.optimizers else ", and no optimizer holds it"
        return f"it does not learn: {arrives}, but its value did not change{held}"
    if row.moved is None:
        return arrives
    return f"it learns: {arrives}, and its value changes"


def _each(steps: int) -> str:
    return "the step seen" if steps == 1 else f"each of {steps} steps"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@dataclass(slots=True)
class _Ways:
    """By node, the price of its cheapest way to a loss (-1: none) and the edge that it goes on by (-1: it is a loss)."""

    price: array[int]
    edge: array[int]


def _ways(flow: FlowGraph) -> _Ways:
    """Ways with the fewest cuts, and of these the shortest. One sweep: edges go from lower numbers to higher ones."""
    count = len(flow.nodes)
    offsets, edges = incoming(flow)
    price, onward = array("q", [-1]) * count, array("q", [-1]) * count
    for loss in flow.losses:
        price[loss] = 0
    for node in range(max(flow.losses, default=-1), -1, -1):
        if price[node] < 0:
            continue
        for edge in edges[offsets[node] : offsets[node + 1]]:
            source = flow.sources[edge]
            # a cut weighs more than the longest way
            after = price[node] + 1 + (count + 1) * (flow.kind_of(edge) is EdgeKind.CUT)
            if price[source] < 0 or after < price[source]:
                price[source], onward[source] = after, edge
    return _Ways(price, onward)


class _Focuser:
    """Answers for `chosen` (indices of parameters) of one report; what they share is worked out once."""

    def __init__(self, report: Report, chosen: Sequence[int]) -> None:
        self.report, self.flow, self.chosen = report, report.flow, chosen
        self.ways = _ways(self.flow)
        self.into, self.onward = incoming(self.flow), outgoing(self.flow)
        self.above = upstream(self.flow, self.flow.losses)
        self.owners: dict[str, list[ParameterRow]] = {}
        for row in report.parameters:
            self.owners.setdefault(_owner(row), []).append(row)
        self.nodes: dict[int, list[int]] = {}
        for number, node in enumerate(self.flow.nodes):
            if node.kind is NodeKind.PARAMETER:
                self.nodes.setdefault(node.parameter, []).append(number)

    def all(self) -> tuple[Focus, ...]:
        """One answer for each of them."""
        unreached = frozenset(number for number in self.chosen if self.report.parameters[number].verdict in _UNREACHED)
        blames = blame(self.flow, unreached)
        beside = self._cuts_beside([number for number in self.chosen if number not in unreached])
        around: dict[str, tuple[Neighbour, ...]] = {}
        answers = []
        for number in self.chosen:
            row = self.report.parameters[number]
            crossed = [crossing.cut for crossing in reversed(blames[number].crossings)] if number in blames else []
            cuts = (*self._cuts(crossed, False), *self._cuts(beside.get(number, ()), True))
            if _owner(row) not in around:
                around[_owner(row)] = self._neighbours(number)
            reaches, path = self._path(number)
            codes = tuple(dict.fromkeys(finding.code for finding in self._findings() if row.name in finding.parameters))
            answers.append(
                Focus(number, why(row, cuts), reaches, path, cuts, around[_owner(row)], zero_share=row.zero_share, findings=codes)
            )
        return tuple(answers)

    def _findings(self) -> tuple[Finding, ...]:
        return (*self.report.findings, *self.report.known, *self.report.suppressed)

    def _cuts(self, cuts: Iterable[int], beside: bool) -> tuple[FocusCut, ...]:
        found = []
        for number in dict.fromkeys(cuts):
            cut = self.flow.cuts[number]
            found.append(FocusCut(cut.reason, cut.label, self.flow.sites[cut.site] if cut.site >= 0 else None, beside))
        return tuple(found)

    def _path(self, parameter: int) -> tuple[bool, tuple[str, ...]]:
        """(whether its value reaches a loss, the modules on the way)."""
        starts = [node for node in self.nodes.get(parameter, ()) if self.ways.price[node] >= 0]
        if not starts:
            return False, ()
        # of equal ways the latest, as a blame has it
        node = min(reversed(starts), key=lambda start: self.ways.price[start])
        modules: list[str] = []
        while self.ways.edge[node] >= 0:
            node = self.flow.targets[self.ways.edge[node]]
            module = self.flow.nodes[node].module
            if module and module not in modules[-1:]:
                modules.append(module)
        return True, tuple(modules)

    def _cuts_beside(self, parameters: Sequence[int]) -> dict[int, list[int]]:
        """By parameter, the cuts on other ways of its value to a loss. Sets of parameters are bit masks, carried down the flow at once."""
        bits = {parameter: 1 << place for place, parameter in enumerate(parameters)}
        masks = [0] * len(self.flow.nodes)
        crossed: dict[int, int] = {}
        offsets, edges = self.into
        for node in range(len(self.flow.nodes) if bits else 0):
            mask = bits.get(self.flow.nodes[node].parameter, 0)
            for edge in edges[offsets[node] : offsets[node + 1]]:
                carried = masks[self.flow.sources[edge]]
                mask |= carried
                if carried and self.above[node] and self.flow.kind_of(edge) is EdgeKind.CUT:
                    cut = self.flow.edge_cuts[edge]
                    crossed[cut] = crossed.get(cut, 0) | carried
            masks[node] = mask
        return {parameter: sorted(cut for cut, mask in crossed.items() if mask & bit) for parameter, bit in bits.items()}

    def _neighbours(self, parameter: int) -> tuple[Neighbour, ...]:
        offsets, edges = self.onward
        takers = {self.flow.targets[edge] for node in self.nodes.get(parameter, ()) for edge in edges[offsets[node] : offsets[node + 1]]}
        own = _owner(self.report.parameters[parameter])
        before = self._nearest_modules(takers, own, self.into, self.flow.sources)
        after = self._nearest_modules(takers, own, self.onward, self.flow.targets)
        return tuple(self._neighbour(module, place < len(before)) for place, module in enumerate([*before, *after]))

    def _nearest_modules(self, starts: set[int], own: str, grouped: tuple[array[int], array[int]], ends: array[int]) -> list[str]:
        """The modules with parameters that are met first, going on from `starts`, in the order of the flow."""
        offsets, edges = grouped
        seen, left = set(starts), sorted(starts)
        met: dict[str, int] = {}
        while left and len(seen) < FARTHEST:
            node = left.pop()
            for edge in edges[offsets[node] : offsets[node + 1]]:
                other = ends[edge]
                if other in seen or not self.above[other]:
                    continue
                seen.add(other)
                module = self.flow.nodes[other].module
                if module != own and module in self.owners and self.flow.nodes[other].kind is not NodeKind.PARAMETER:
                    met[module] = min(met.get(module, other), other)
                elif self.flow.nodes[other].kind is not NodeKind.PARAMETER:
                    left.append(other)
        return sorted(met, key=lambda module: met[module])

    def _neighbour(self, module: str, before: bool) -> Neighbour:
        rows = self.owners[module]
        norms = [row.grad_norm for row in rows if row.grad_norm is not None]
        verdict = next(verdict for verdict in WORST_FIRST if any(row.verdict is verdict for row in rows))
        return Neighbour(module, before, verdict, math.sqrt(sum(norm * norm for norm in norms)) if norms else None)


def _owner(row: ParameterRow) -> str:
    return row.owner or row.name.rpartition(".")[0]
