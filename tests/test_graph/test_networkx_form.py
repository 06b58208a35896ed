"""The public form of the flow graph."""

from __future__ import annotations

import json

import networkx

from gradflow.graph.flow import CutReason, EdgeKind, FlowGraph, FlowGraphBuilder, Node, NodeKind
from gradflow.graph.networkx_form import to_networkx
from gradflow.graph.site import Site


def article() -> FlowGraph:
    """w -> (no_grad) linear -> detach twice and once plainly -> loss."""
    build = FlowGraphBuilder()
    place = build.site(Site("net.py", 15, function="Net.forward", source="x = self.lin(x)"))
    region = build.cut(CutReason.NO_GRAD, Site("net.py", 14, function="Net.forward"), "torch.no_grad()", region=True)
    detach = build.cut(CutReason.DETACH, None, ".detach()")
    build.node(Node(NodeKind.PARAMETER, "lin.weight", parameter=0))
    build.node(Node(NodeKind.OPERATION, "linear", module="lin", site=place, region=region, step=2))
    build.node(Node(NodeKind.OPERATION, "mul", autograd="MulBackward0"))
    build.edge(0, 1, EdgeKind.CUT, region)
    build.edge(1, 2, EdgeKind.INERT)
    build.edge(1, 2, EdgeKind.CUT, detach)
    build.edge(0, 2, EdgeKind.CUT, detach)
    build.edge(0, 2, EdgeKind.LIVE)
    build.edge(0, 2, EdgeKind.LIVE)
    build.losses.append(2)
    return build.build()


def test_nodes_keep_capture_order_and_carry_the_documented_attributes() -> None:
    graph = to_networkx(article(), ["lin.weight"], ["severed"])
    common = {"module": "", "autograd": "", "step": 0, "loss": False}
    assert list(graph.nodes(data=True)) == [
        (0, {**common, "kind": "parameter", "label": "lin.weight", "parameter": "lin.weight", "verdict": "severed"}),
        (
            1,
            {
                **common,
                "kind": "operation",
                "label": "linear",
                "module": "lin",
                "step": 2,
                "file": "net.py",
                "line": 15,
                "function": "Net.forward",
                "region": "no-grad",
            },
        ),
        (2, {**common, "kind": "operation", "label": "mul", "autograd": "MulBackward0", "loss": True}),
    ]


def test_parallel_edges_are_counted_and_the_strongest_kind_stands() -> None:
    graph = to_networkx(article(), ["lin.weight"], ["severed"])
    assert graph.edges[0, 2] == {"kind": "live", "count": 3}
    assert graph.edges[1, 2] == {"kind": "cut", "count": 2, "reason": "detach", "label": ".detach()"}


def test_a_cut_edge_names_its_reason_and_its_place() -> None:
    edge = to_networkx(article(), ["lin.weight"], ["severed"]).edges[0, 1]
    place = {"file": "net.py", "line": 14, "function": "Net.forward"}
    assert edge == {"kind": "cut", "count": 1, "reason": "no-grad", "label": "torch.no_grad()", **place}


def test_the_node_link_form_is_json() -> None:
    graph = to_networkx(article(), ["lin.weight"], ["severed"])
    assert json.loads(json.dumps(networkx.node_link_data(graph, edges="edges")))["directed"] is True


def test_an_empty_graph_has_an_empty_form() -> None:
    assert len(to_networkx(FlowGraph(), [], [])) == 0
