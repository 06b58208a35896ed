"""Who comes before whom in the flow graph: downstream nodes, and the operations that take a parameter. Pure, linear in the edges."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gradflow.graph.blame import outgoing
from gradflow.graph.flow import EdgeKind, FlowGraph, NodeKind


def parameter_nodes(graph: FlowGraph, parameters: Collection[int]) -> list[int]:
    """The nodes of `parameters` (indices)."""
    wanted = frozenset(parameters)
    return [number for number, node in enumerate(graph.nodes) if node.kind is NodeKind.PARAMETER and node.parameter in wanted]


def takers(graph: FlowGraph, parameters: Collection[int]) -> dict[int, list[int]]:
    """By parameter, the nodes that take it and pass a gradient back to it, in capture order. Those that nothing takes are absent."""
    wanted = frozenset(parameters)
    found: dict[int, set[int]] = {}
    for edge, (source, target) in enumerate(zip(graph.sources, graph.targets, strict=True)):
        index = graph.nodes[source].parameter
        if index in wanted and graph.kind_of(edge) is EdgeKind.LIVE:
            found.setdefault(index, set()).add(target)
    return {index: sorted(nodes) for index, nodes in sorted(found.items())}


def downstream(graph: FlowGraph, starts: Iterable[int]) -> bytearray:
    """One byte a node: 1 where a gradient that comes to it goes on to one of `starts`, the starts themselves included."""
    marks = bytearray(len(graph.nodes))
    for start in starts:
        marks[start] = 1
    offsets, edges = outgoing(graph)
    for node in range(len(graph.nodes)):
        if marks[node]:
            for edge in edges[offsets[node] : offsets[node + 1]]:
                if graph.kind_of(edge) is EdgeKind.LIVE:
                    marks[graph.targets[edge]] = 1
    return marks
