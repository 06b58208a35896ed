"""Which cuts stand between a parameter and the loss: a shortest path, so the fewest lines that have to change.

A min cut would answer another question (what to remove so that *nothing* flows). The price of a path:

- a live or an inert edge costs nothing, a plain cut (`.detach()`) costs 1;
- a run of nodes in one region (`with torch.no_grad():`) costs 1 as a whole, at the node where values leave it. A live edge out of a region
  is free (an in-place write under `no_grad` leaves the tensor in the graph); the region is then paid where the path turns to a value that
  the region keeps from autograd;
- the same line crossed twice is paid twice, and named once.

Of equal prices, a value goes on to its latest consumer in capture order, and a parameter that was written again starts from its latest
node: all parameters behind one value share its path, and the cut named is the last one before the loss. All walks are loops.
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
    if not parameters:
        return {}
    paths = _paths_from_losses(graph, graph.losses if losses is None else losses)
    best: dict[int, tuple[int, int]] = {}
    for number, node in enumerate(graph.nodes):
        if node.kind is not NodeKind.PARAMETER or node.parameter not in parameters:
            continue
        for state in (2 * number, 2 * number + 1):
            price = paths.price[state]
            if price >= 0 and (node.parameter not in best or price <= best[node.parameter][0]):
                best[node.parameter] = (price, state)
    return {parameter: _read_back(graph, paths, parameter, state) for parameter, (_, state) in sorted(best.items())}


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
    for start in starts:
        seen[start] = 1
    # Edges go from lower numbers to higher ones, so one sweep downwards sees each node after all its consumers.
    for node in range(max(starts, default=-1), -1, -1):
        if seen[node]:
            for edge in edges[offsets[node] : offsets[node + 1]]:
                if not live_only or graph.kind_of(edge) is EdgeKind.LIVE:
                    seen[graph.sources[edge]] = 1
    return seen


def lost_hosts(graph: FlowGraph) -> tuple[int, ...]:
    """Nodes where a value leaves torch and was not seen to come back to a loss."""
    hosts = [number for number, node in enumerate(graph.nodes) if node.kind is NodeKind.HOST]
    if not hosts:
        return ()
    returns = upstream(graph, graph.losses)
    return tuple(number for number in hosts if not returns[number])


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
    """By state (2 * node, plus 1 where the node's region is paid): cuts paid from the nearest loss (-1: not reached), that loss, the next
    edge on the way to it that costs something (-1: none), and the state at that edge's target.

    Free edges are jumped over: thousands of parameters can share a path of a million nodes.
    """

    price: array[int]
    loss: array[int]
    paid_edge: array[int]
    paid_after: array[int]


def _paths_from_losses(graph: FlowGraph, losses: tuple[int, ...]) -> _Paths:
    """Shortest paths by one sweep against capture order: a node's consumers all have higher numbers, so its price is final when met."""
    count = len(graph.nodes)
    offsets, edges = incoming(graph)
    regions = [node.region for node in graph.nodes]
    live, cut = _code(graph, EdgeKind.LIVE), _code(graph, EdgeKind.CUT)
    prices, loss_of, paid_edge, paid_after = (array("i", [-1]) * (2 * count) for _ in range(4))
    for loss in losses:
        prices[2 * loss], loss_of[2 * loss] = 0, loss
    sources, kinds = graph.sources, graph.kinds
    for node in range(max(losses, default=-1), -1, -1):
        region = regions[node]
        for state in (2 * node, 2 * node + 1) if region >= 0 else (2 * node,):
            so_far = prices[state]
            if so_far < 0:
                continue
            for edge in edges[offsets[node] : offsets[node + 1]]:
                kind, source = kinds[edge], sources[edge]
                price, inside = so_far, state & 1
                if region >= 0 and not inside and kind != live:
                    price, inside = price + 1, 1
                if kind == cut and _is_paid_alone(graph, edge, region):
                    price += 1
                before = 2 * source + (inside if region >= 0 and regions[source] == region else 0)
                if prices[before] < 0 or price < prices[before]:
                    prices[before], loss_of[before] = price, loss_of[state]
                    free = price == so_far
                    paid_edge[before], paid_after[before] = (paid_edge[state], paid_after[state]) if free else (edge, state)
    return _Paths(prices, loss_of, paid_edge, paid_after)


def _code(graph: FlowGraph, kind: EdgeKind) -> int:
    """The byte that stands for `kind` in `graph.kinds`, -1 where no edge is of that kind: comparing bytes keeps the sweep quick."""
    return next((code for code in sorted(set(graph.kinds)) if graph.kind_of(graph.kinds.index(code)) is kind), -1)


def _is_paid_alone(graph: FlowGraph, edge: int, region: int) -> bool:
    """Whether the cut of `edge` is paid besides the region of its target: a region's own edges are paid with the region. The edges of a
    region inside another one carry the inner one, which has to be mended too."""
    return graph.edge_cuts[edge] != region


def _read_back(graph: FlowGraph, paths: _Paths, parameter: int, state: int) -> Blame:
    crossings: list[Crossing] = []
    loss = paths.loss[state]
    while paths.paid_edge[state] >= 0:
        edge, after = paths.paid_edge[state], paths.paid_after[state]
        target, kind = graph.targets[edge], graph.kind_of(edge)
        region = graph.nodes[target].region
        # Read from the parameter on: the operation's own cut comes before the end of the region in which it ran.
        if kind is EdgeKind.CUT and _is_paid_alone(graph, edge, region):
            crossings.append(Crossing(graph.edge_cuts[edge], target))
        if region >= 0 and not after & 1 and kind is not EdgeKind.LIVE:
            crossings.append(Crossing(region, target))
        state = after
    return Blame(parameter, loss, tuple(reversed(crossings)))
