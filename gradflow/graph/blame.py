"""Which cuts stand between a parameter and the loss: a 0-1 shortest path, so the fewest lines that have to change.

A min cut would answer another question (what to remove so that *nothing* flows). Live and inert edges cost nothing, a cut costs one, and a
run of operations in one region (`with torch.no_grad():`) costs one as a whole, where values leave it. All walks are loops.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from gradflow.graph.flow import EdgeKind, FlowGraph, NodeKind


@dataclass(frozen=True, slots=True)
class Crossing:
    """One cut on the way: `cut` indexes `FlowGraph.cuts`, `node` is the last node before values go on without a gradient."""

    cut: int
    node: int


@dataclass(frozen=True, slots=True)
class Blame:
    """Why no gradient comes to `parameter` (its index): the cuts on the way from the loss to it, nearest the loss first."""

    parameter: int
    loss: int
    crossings: tuple[Crossing, ...]


def blame(graph: FlowGraph, parameters: frozenset[int], losses: tuple[int, ...] | None = None) -> dict[int, Blame]:
    """The blame of each of `parameters` (indices) whose value reaches one of `losses` (default: all); others are absent.

    A parameter with an empty `crossings` is connected by live and inert edges alone.
    """
    steps = _paths_from_losses(graph, graph.losses if losses is None else losses)
    nearest: dict[int, int] = {}
    for number, node in enumerate(graph.nodes):
        if node.kind is NodeKind.PARAMETER and node.parameter in parameters and steps.distance[number] >= 0:
            best = nearest.get(node.parameter)
            if best is None or steps.distance[number] < steps.distance[best]:
                nearest[node.parameter] = number
    return {parameter: _read_back(graph, steps, parameter, number) for parameter, number in sorted(nearest.items())}


def incoming(graph: FlowGraph) -> tuple[array[int], array[int]]:
    """Edges by target, as (offsets, edge numbers): those into node n are `edges[offsets[n]:offsets[n + 1]]`."""
    return _grouped(graph.targets, len(graph.nodes))


def outgoing(graph: FlowGraph) -> tuple[array[int], array[int]]:
    """Edges by source, as `incoming`."""
    return _grouped(graph.sources, len(graph.nodes))


def upstream(graph: FlowGraph, starts: tuple[int, ...], *, live_only: bool = False) -> bytearray:
    """One byte a node: 1 where its value has a part in that of one of `starts` (over live edges only, if asked)."""
    offsets, edges = incoming(graph)
    seen = bytearray(len(graph.nodes))
    stack = list(starts)
    for start in starts:
        seen[start] = 1
    while stack:
        node = stack.pop()
        for edge in edges[offsets[node] : offsets[node + 1]]:
            source = graph.sources[edge]
            if not seen[source] and (not live_only or graph.kind_of(edge) is EdgeKind.LIVE):
                seen[source] = 1
                stack.append(source)
    return seen


def _grouped(ends: array[int], count: int) -> tuple[array[int], array[int]]:
    offsets = array("q", bytes(8 * (count + 1)))
    for end in ends:
        offsets[end + 1] += 1
    for number in range(count):
        offsets[number + 1] += offsets[number]
    place = array("q", offsets)
    edges = array("q", bytes(8 * len(ends)))
    for edge, end in enumerate(ends):
        edges[place[end]] = edge
        place[end] += 1
    return offsets, edges


@dataclass(slots=True)
class _Paths:
    """By node: cuts paid from the nearest loss (-1: not reached), the edge by which the path came, and whether that step was paid."""

    distance: array[int]
    edge: array[int]


def _price(graph: FlowGraph, edge: int) -> int:
    """What going back over `edge` costs. Edges into a region's node carry the region's cut, but are paid where the region is left."""
    source, target = graph.sources[edge], graph.targets[edge]
    left = graph.nodes[source].region
    price = int(left >= 0 and left != graph.nodes[target].region)
    if graph.kind_of(edge) is EdgeKind.CUT and not graph.cuts[graph.edge_cuts[edge]].region:
        price += 1
    return price


def _paths_from_losses(graph: FlowGraph, losses: tuple[int, ...]) -> _Paths:
    offsets, edges = incoming(graph)
    count = len(graph.nodes)
    distance, came_by = array("q", [-1]) * count, array("q", [-1]) * count
    settled = bytearray(count)
    # An edge can cost 2 (a detach of what leaves a region), so a plain 0-1 deque is not exact: buckets by distance are.
    buckets: dict[int, list[int]] = {}
    for loss in losses:
        distance[loss] = int(graph.nodes[loss].region >= 0)
        buckets.setdefault(distance[loss], []).append(loss)
    while buckets:
        paid = min(buckets)
        current = buckets.pop(paid)
        for node in current:
            if settled[node]:
                continue
            settled[node] = 1
            for edge in edges[offsets[node] : offsets[node + 1]]:
                source = graph.sources[edge]
                price = paid + _price(graph, edge)
                if not settled[source] and (distance[source] < 0 or price < distance[source]):
                    distance[source], came_by[source] = price, edge
                    (current if price == paid else buckets.setdefault(price, [])).append(source)
    return _Paths(distance, came_by)


def _read_back(graph: FlowGraph, paths: _Paths, parameter: int, number: int) -> Blame:
    crossings: list[Crossing] = []
    node = number
    while paths.edge[node] >= 0:
        edge = paths.edge[node]
        target = graph.targets[edge]
        left = graph.nodes[node].region
        cut = graph.edge_cuts[edge]
        if left >= 0 and left != graph.nodes[target].region:
            crossings.append(Crossing(left, node))
        if graph.kind_of(edge) is EdgeKind.CUT and not graph.cuts[cut].region:
            crossings.append(Crossing(cut, target))
        node = target
    if graph.nodes[node].region >= 0:
        crossings.append(Crossing(graph.nodes[node].region, node))
    return Blame(parameter, node, tuple(reversed(crossings)))
