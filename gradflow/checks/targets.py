"""Parameters whose values go into a loss as what is to be met, and in no other way: a teacher's. Pure, linear in the edges."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.graph.blame import incoming
from gradflow.graph.flow import EdgeKind, FlowGraph, NodeKind

_LOSSES = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "cross_entropy", "binary_cross_entropy", "nll_loss",
    "soft_margin_loss", "gaussian_nll_loss", "poisson_nll_loss",
)  # fmt: skip
"""Losses of torch that take what is given first, and what is to be met second."""


def targets_only(graph: FlowGraph) -> frozenset[int]:
    """Parameters (indices) that have a part in a loss, and none but by what a loss function of torch has to meet: its second argument, or
    the first one if no gradient comes back to that and one does to the other.

    A difference written out (`(a - b) ** 2`) does not say which of the two is meant, and makes no target.
    """
    every, asked = _upstream(graph, through_targets=True), _upstream(graph, through_targets=False)
    found = {node.parameter for number, node in enumerate(graph.nodes) if node.kind is NodeKind.PARAMETER and every[number]}
    return frozenset(found - {node.parameter for number, node in enumerate(graph.nodes) if asked[number]})


def _upstream(graph: FlowGraph, *, through_targets: bool) -> bytearray:
    """One byte a node: 1 where its value has a part in a loss, also by the arguments that are to be met, if asked."""
    offsets, edges = incoming(graph)
    seen = bytearray(len(graph.nodes))
    for loss in graph.losses:
        seen[loss] = 1
    for node in range(max(graph.losses, default=-1), -1, -1):
        if not seen[node]:
            continue
        into: Sequence[int] = edges[offsets[node] : offsets[node + 1]]
        if not through_targets and graph.nodes[node].label.startswith(_LOSSES):
            live = [edge for edge in into if graph.kind_of(edge) is EdgeKind.LIVE]
            first = into[:1] if not live or into[0] in live else live
            into = [edge for edge in into if graph.sources[edge] in {graph.sources[chosen] for chosen in first}]
        for edge in into:
            seen[graph.sources[edge]] = 1
    return seen
