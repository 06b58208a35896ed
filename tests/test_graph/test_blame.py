"""Blame against networkx's Dijkstra on random layered graphs, its tie-breaking, and its size."""

from __future__ import annotations

import time

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradflow.errors import InvariantError
from gradflow.graph.blame import Blame, blame, incoming, outgoing, upstream
from gradflow.graph.flow import CutReason, EdgeKind, FlowGraph, FlowGraphBuilder, Node, NodeKind
from gradflow.graph.site import Site

LIVE, CUT, INERT = EdgeKind.LIVE, EdgeKind.CUT, EdgeKind.INERT


def parameter(build: FlowGraphBuilder, index: int) -> int:
    return build.node(Node(NodeKind.PARAMETER, f"w{index}", parameter=index))


def operation(build: FlowGraphBuilder, label: str = "op", region: int = -1) -> int:
    return build.node(Node(NodeKind.OPERATION, label, region=region))


@st.composite
def layered_graphs(draw: st.DrawFn) -> FlowGraph:
    """Layers of up to four nodes, edges between any two layers, up to two regions, five plain cuts and every kind of edge."""
    build = FlowGraphBuilder()
    regions = [build.cut(CutReason.NO_GRAD, Site("a.py", 100 + i), "torch.no_grad()", region=True) for i in range(2)]
    plain = [build.cut(CutReason.DETACH, Site("a.py", 1 + i), ".detach()") for i in range(5)]
    layers = [[parameter(build, i) for i in range(draw(st.integers(1, 3)))]]
    for _ in range(draw(st.integers(1, 6))):
        region = draw(st.sampled_from([-1, -1, *regions]))
        layer = [operation(build, region=region) for _ in range(draw(st.integers(1, 4)))]
        earlier = [node for previous in layers for node in previous]
        for target in layer:
            for source in draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=4)):
                choices = [(LIVE, -1), (INERT, -1), *((CUT, cut) for cut in plain), *([(CUT, region)] * 3 if region >= 0 else [])]
                kind, cut = draw(st.sampled_from(choices))
                build.edge(source, target, kind, cut)
        layers.append(layer)
    build.losses.extend(layers[-1][: draw(st.integers(1, 2))])
    return build.build()


def states(graph: FlowGraph) -> networkx.DiGraph:
    """The documented price as a graph of its own: a state is (node, whether its region is paid), an edge goes back from the loss."""
    back = networkx.DiGraph()
    back.add_nodes_from((node, paid) for node in range(len(graph.nodes)) for paid in (False, True))
    for edge, (source, target) in enumerate(zip(graph.sources, graph.targets, strict=True)):
        region, kind = graph.nodes[target].region, graph.kind_of(edge)
        for paid in (False, True):
            if region < 0 and paid:
                continue
            pays_region = region >= 0 and not paid and kind is not LIVE
            pays_cut = kind is CUT and not graph.cuts[graph.edge_cuts[edge]].region
            stays = region >= 0 and graph.nodes[source].region == region
            pair = (target, paid), (source, stays and (paid or pays_region))
            price = int(pays_region) + int(pays_cut)
            if not back.has_edge(*pair) or back.edges[pair]["weight"] > price:
                back.add_edge(*pair, weight=price)
    return back


@settings(max_examples=300, deadline=None)
@given(layered_graphs())
def test_the_number_of_cuts_blamed_is_the_shortest_distance_that_dijkstra_finds(graph: FlowGraph) -> None:
    count = sum(node.kind is NodeKind.PARAMETER for node in graph.nodes)
    got = blame(graph, frozenset(range(count)))
    distances = networkx.multi_source_dijkstra_path_length(states(graph), {(loss, False) for loss in graph.losses})
    for index in range(count):
        best = min((distances[index, paid] for paid in (False, True) if (index, paid) in distances), default=None)
        assert (len(got[index].crossings) if index in got else None) == best


@settings(max_examples=150, deadline=None)
@given(layered_graphs())
def test_repairing_the_blamed_cuts_leaves_nothing_to_pay(graph: FlowGraph) -> None:
    count = sum(node.kind is NodeKind.PARAMETER for node in graph.nodes)
    for index, found in blame(graph, frozenset(range(count))).items():
        mended = {crossing.cut for crossing in found.crossings}
        assert {crossing.node for crossing in found.crossings} <= set(range(len(graph.nodes)))
        assert blame(without(graph, mended), frozenset({index}))[index].crossings == ()


def without(graph: FlowGraph, mended: set[int]) -> FlowGraph:
    """The same graph after the lines of the cuts in `mended` were repaired: their edges live, their regions gone."""
    build = FlowGraphBuilder()
    for cut in graph.cuts:
        build.cut(cut.reason, graph.sites[cut.site], cut.label, region=cut.region)
    for node in graph.nodes:
        build.node(Node(node.kind, node.label, parameter=node.parameter, region=-1 if node.region in mended else node.region))
    for edge, (source, target) in enumerate(zip(graph.sources, graph.targets, strict=True)):
        cut = graph.edge_cuts[edge]
        kind = LIVE if cut in mended else graph.kind_of(edge)
        build.edge(source, target, kind, -1 if cut in mended else cut)
    build.losses.extend(graph.losses)
    return build.build()


@settings(max_examples=100, deadline=None)
@given(layered_graphs())
def test_upstream_is_the_set_of_ancestors(graph: FlowGraph) -> None:
    whole = networkx.MultiDiGraph()
    whole.add_nodes_from(range(len(graph.nodes)))
    whole.add_edges_from(zip(graph.sources, graph.targets, strict=True))
    live = networkx.DiGraph([(s, t) for e, (s, t) in enumerate(zip(graph.sources, graph.targets, strict=True)) if graph.kind_of(e) is LIVE])
    live.add_nodes_from(range(len(graph.nodes)))
    for reference, live_only in ((whole, False), (live, True)):
        expected = set(graph.losses).union(*(networkx.ancestors(reference, loss) for loss in graph.losses))
        seen = upstream(graph, graph.losses, live_only=live_only)
        assert {node for node in range(len(graph.nodes)) if seen[node]} == expected


def test_incoming_and_outgoing_group_every_edge_once() -> None:
    build = FlowGraphBuilder()
    weight, square = parameter(build, 0), operation(build)
    build.edge(weight, square, LIVE)
    build.edge(weight, square, LIVE)
    graph = build.build()
    assert [list(part) for part in incoming(graph)] == [[0, 0, 2], [0, 1]]
    assert [list(part) for part in outgoing(graph)] == [[0, 2, 2], [0, 1]]


def region_chain(build: FlowGraphBuilder, length: int) -> tuple[int, int]:
    cut = build.cut(CutReason.NO_GRAD, Site("a.py", 3), "torch.no_grad()", region=True)
    last = parameter(build, 0)
    for _ in range(length):
        node = operation(build, region=cut)
        build.edge(last, node, CUT, cut)
        last = node
    return cut, last


def test_a_run_of_operations_in_one_region_is_paid_once_where_it_is_left() -> None:
    build = FlowGraphBuilder()
    cut, last = region_chain(build, 5)
    head = operation(build)
    build.edge(last, head, INERT)
    build.losses.append(head)
    found = blame(build.build(), frozenset({0}))[0]
    assert [(crossing.cut, crossing.node) for crossing in found.crossings] == [(cut, last)]


def test_a_detach_of_what_leaves_a_region_comes_after_the_region() -> None:
    build = FlowGraphBuilder()
    region, last = region_chain(build, 2)
    detach = build.cut(CutReason.DETACH, Site("a.py", 9), ".detach()")
    head = operation(build)
    build.edge(last, head, CUT, detach)
    build.losses.append(head)
    assert [crossing.cut for crossing in blame(build.build(), frozenset({0}))[0].crossings] == [detach, region]


def test_an_in_place_write_under_no_grad_cuts_what_is_written_and_not_the_tensor_written_to() -> None:
    build = FlowGraphBuilder()
    cut = build.cut(CutReason.NO_GRAD, Site("a.py", 3), "torch.no_grad()", region=True)
    kept, lost, write, head = parameter(build, 0), parameter(build, 1), operation(build, "add_", cut), operation(build)
    build.edge(kept, write, LIVE)
    build.edge(lost, write, CUT, cut)
    build.edge(write, head, LIVE)
    build.losses.append(head)
    found = blame(build.build(), frozenset({0, 1}))
    assert [len(found[index].crossings) for index in (0, 1)] == [0, 1]
    assert found[1].crossings[0].node == write


def test_of_two_cuts_of_equal_price_the_later_one_is_blamed_for_every_parameter_behind_them() -> None:
    build = FlowGraphBuilder()
    first, second = (build.cut(CutReason.DETACH, Site("a.py", line), ".detach()") for line in (10, 12))
    weights = [parameter(build, index) for index in range(3)]
    shared, aux, main, loss = (operation(build) for _ in range(4))
    for weight in weights:
        build.edge(weight, shared, LIVE)
    build.edge(shared, aux, CUT, first)
    build.edge(shared, main, CUT, second)
    build.edge(aux, loss, LIVE)
    build.edge(main, loss, LIVE)
    build.losses.append(loss)
    found = blame(build.build(), frozenset(range(3)))
    assert [[crossing.cut for crossing in found[index].crossings] for index in range(3)] == [[second]] * 3


def test_a_parameter_without_a_way_to_the_loss_is_absent() -> None:
    build = FlowGraphBuilder()
    parameter(build, 0)
    build.losses.append(operation(build))
    assert blame(build.build(), frozenset({0})) == {}


def test_other_ends_than_the_losses_can_be_asked_for() -> None:
    build = FlowGraphBuilder()
    weight, host = parameter(build, 0), build.node(Node(NodeKind.HOST, "item()"))
    build.edge(weight, host, CUT, build.cut(CutReason.HOST_SCALAR, None, ".item()"))
    graph = build.build()
    assert blame(graph, frozenset({0})) == {}
    assert isinstance(blame(graph, frozenset({0}), (host,))[0], Blame)
    assert blame(graph, frozenset({0}), (host,))[0].loss == host


def test_a_chain_of_a_million_nodes_takes_no_recursion_and_a_few_seconds() -> None:
    build = FlowGraphBuilder()
    cut = build.cut(CutReason.DETACH, Site("a.py", 1), ".detach()")
    last, plain = parameter(build, 0), Node(NodeKind.OPERATION, "add")
    for number in range(1, 1_000_000):
        build.node(plain)
        build.edge(number - 1, number, CUT if number == 500_000 else LIVE, cut if number == 500_000 else -1)
        last = number
    build.losses.append(last)
    graph = build.build()
    start = time.process_time()
    found = blame(graph, frozenset({0}))
    taken = time.process_time() - start
    assert [crossing.node for crossing in found[0].crossings] == [500_000]
    assert taken < 6  # about 1 s; the room is for slow machines, and a quadratic walk would take hours


def test_thousands_of_parameters_may_share_one_long_path() -> None:
    build = FlowGraphBuilder()
    cut = build.cut(CutReason.DETACH, Site("a.py", 1), ".detach()")
    weights = [parameter(build, index) for index in range(3000)]
    last = operation(build)
    for weight in weights:
        build.edge(weight, last, LIVE)
    for number in range(20_000):
        node = operation(build)
        build.edge(last, node, CUT if number == 10_000 else LIVE, cut if number == 10_000 else -1)
        last = node
    build.losses.append(last)
    start = time.process_time()
    found = blame(build.build(), frozenset(range(3000)))
    taken = time.process_time() - start
    assert {len(one.crossings) for one in found.values()} == {1}
    assert taken < 5  # about 0.1 s; reading the path back for each parameter takes half a minute


def test_an_edge_against_capture_order_is_refused() -> None:
    build = FlowGraphBuilder()
    first, second = parameter(build, 0), operation(build)
    build.edge(second, first, LIVE)
    with pytest.raises(InvariantError, match="edge 0 goes from node 1 to 0 of 2: not in capture order"):
        build.build()
