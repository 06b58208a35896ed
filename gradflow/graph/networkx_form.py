"""The flow graph as a `networkx.DiGraph`: the public form, for exports, views and the user's own questions. It changes nothing it is given.

A node is a number in capture order. Node attributes:

- `kind`: `parameter`, `input`, `operation`, `host` or `autograd`; `label`: the call's or the parameter's name;
- `module`: path of the running `nn.Module` (empty: none); `autograd`: name of the backward node (empty: none);
- `step`: how many backward passes came before;
- `loss`: True on the loss nodes, else False;
- `file`, `line`, `function`: where it was made, on nodes whose place is known;
- `parameter`, `verdict`: the parameter's name and its verdict, on parameter nodes;
- `region`: the reason (`no-grad`) for which gradients were off while it ran, on such nodes.

An edge follows the data. Edge attributes:

- `kind`: `live`, `cut` or `inert`; `count`: how many edges of the flow graph it stands for (`w * w` has two); of several kinds the
  strongest stands: live, then cut, then inert;
- on cut edges `reason` (`detach`), `label` (`.detach()`), and where the place is known `file`, `line`, `function` of the cut.

All values are text, whole numbers or True and False, so that the node-link form is JSON as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import networkx

from gradflow.graph.flow import EdgeKind, FlowGraph

_STRENGTH = {EdgeKind.LIVE: 2, EdgeKind.CUT: 1, EdgeKind.INERT: 0}


def to_networkx(flow: FlowGraph, names: Sequence[str], verdicts: Sequence[str]) -> networkx.DiGraph:
    """The flow graph in public form; `names` and `verdicts` are aligned with the recording's parameters."""
    graph = networkx.DiGraph()
    losses = frozenset(flow.losses)
    for number, node in enumerate(flow.nodes):
        graph.add_node(
            number,
            kind=node.kind.value,
            label=node.label,
            module=node.module,
            autograd=node.autograd,
            step=node.step,
            loss=number in losses,
            **_place(flow, node.site),
        )
        if node.parameter >= 0:
            graph.nodes[number].update(parameter=names[node.parameter], verdict=verdicts[node.parameter])
        if node.region >= 0:
            graph.nodes[number]["region"] = flow.cuts[node.region].reason.value
    _add_edges(graph, flow)
    return graph


def _add_edges(graph: networkx.DiGraph, flow: FlowGraph) -> None:
    counts: dict[tuple[int, int], int] = {}
    strongest: dict[tuple[int, int], int] = {}
    for edge, pair in enumerate(zip(flow.sources, flow.targets, strict=True)):
        counts[pair] = counts.get(pair, 0) + 1
        if pair not in strongest or _STRENGTH[flow.kind_of(edge)] > _STRENGTH[flow.kind_of(strongest[pair])]:
            strongest[pair] = edge
    for (source, target), edge in strongest.items():
        attributes: dict[str, str | int] = {"kind": flow.kind_of(edge).value, "count": counts[source, target]}
        if flow.kind_of(edge) is EdgeKind.CUT:
            cut = flow.cuts[flow.edge_cuts[edge]]
            attributes.update(reason=cut.reason.value, label=cut.label, **_place(flow, cut.site))
        graph.add_edge(source, target, **attributes)


def _place(flow: FlowGraph, index: int) -> dict[str, str | int]:
    if index < 0:
        return {}
    site = flow.sites[index]
    return {"file": site.file, "line": site.line, "function": site.function}
