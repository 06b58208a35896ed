"""The flow graph as plain JSON data, exact: what the node-link form leaves out (columns, parallel edges, regions) is kept. Only converts.

Nodes are rows in the order of `NODE_FIELDS`, sites in that of `SITE_FIELDS`; edges are parallel lists (kind 0 is live, 1 cut, 2 inert).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from gradflow.errors import InvariantError, UsageError
from gradflow.graph.flow import BackwardDrawing, Cut, CutReason, FlowGraph, Node, NodeKind
from gradflow.graph.site import Site
from gradflow.json_fields import each_field, enum_field, field, list_field

NODE_FIELDS = ("kind", "label", "module", "site", "parameter", "region", "autograd", "step")
SITE_FIELDS = ("file", "line", "column", "end_line", "end_column", "function", "module", "source")


def flow_form(flow: FlowGraph) -> dict[str, Any]:
    """The graph as dicts, lists, strings and numbers. The context lines of sites are not in it."""
    return {
        "node_fields": list(NODE_FIELDS),
        "site_fields": list(SITE_FIELDS),
        "nodes": [[node.kind.value, *(getattr(node, name) for name in NODE_FIELDS[1:])] for node in flow.nodes],
        "sites": [[getattr(site, name) for name in SITE_FIELDS] for site in flow.sites],
        "cuts": [{"reason": cut.reason.value, "site": cut.site, "label": cut.label, "region": cut.region} for cut in flow.cuts],
        "sources": list(flow.sources),
        "targets": list(flow.targets),
        "kinds": list(flow.kinds),
        "edge_cuts": list(flow.edge_cuts),
        "losses": list(flow.losses),
        **({"backward": _backward_form(flow.backward)} if flow.backward.statements else {}),
    }


def read_flow(form: Mapping[str, Any], where: str) -> FlowGraph:
    """The graph that `flow_form` wrote.

    Raises:
        UsageError: naming the first place that is not as it should be, or the invariant of the graph that does not hold.
    """
    kinds = list_field(form, "kinds", int, where)
    if not set(kinds) <= {0, 1, 2}:
        raise UsageError(f"this is no gradflow/1 report: expected 0, 1 or 2 in {where}kinds, found {max(kinds, key=abs)}")
    try:
        return FlowGraph(
            nodes=tuple(_node(row, f"{where}nodes.") for row in list_field(form, "nodes", list, where)),
            sources=array("q", list_field(form, "sources", int, where)),
            targets=array("q", list_field(form, "targets", int, where)),
            kinds=bytes(kinds),
            edge_cuts=array("q", list_field(form, "edge_cuts", int, where)),
            cuts=each_field(form, "cuts", where, _cut),
            sites=tuple(_site(row, f"{where}sites.") for row in list_field(form, "sites", list, where)),
            losses=list_field(form, "losses", int, where),
            backward=_backward(form, where),
        ).check()
    except (InvariantError, OverflowError) as error:
        raise UsageError(f"this is no gradflow/1 report: {where[:-1]} does not hold together, {error}") from error


def _node(row: list[Any], where: str) -> Node:
    item = dict(zip(NODE_FIELDS, row, strict=False))
    return Node(
        kind=enum_field(item, "kind", NodeKind, where),
        label=field(item, "label", str, where),
        module=field(item, "module", str, where),
        site=field(item, "site", int, where),
        parameter=field(item, "parameter", int, where),
        region=field(item, "region", int, where),
        autograd=field(item, "autograd", str, where),
        step=field(item, "step", int, where),
    )


def _site(row: list[Any], where: str) -> Site:
    item = dict(zip(SITE_FIELDS, row, strict=False))
    return Site(
        file=field(item, "file", str, where),
        line=field(item, "line", int, where),
        column=field(item, "column", int, where),
        end_line=field(item, "end_line", int, where),
        end_column=field(item, "end_column", int, where),
        function=field(item, "function", str, where),
        module=field(item, "module", str, where),
        source=field(item, "source", str, where),
    )


def _cut(item: Mapping[str, Any], where: str) -> Cut:
    return Cut(
        reason=enum_field(item, "reason", CutReason, where),
        site=field(item, "site", int, where),
        label=field(item, "label", str, where),
        region=field(item, "region", bool, where),
    )


def _backward_form(drawing: BackwardDrawing) -> dict[str, Any]:
    return {"dot": "\n".join(drawing.statements), "explains": list(drawing.explains)}


def _backward(form: Mapping[str, Any], where: str) -> BackwardDrawing:
    if "backward" not in form:
        return BackwardDrawing()
    inner = field(form, "backward", dict, where)
    where = f"{where}backward."
    return BackwardDrawing(tuple(field(inner, "dot", str, where).split("\n")), list_field(inner, "explains", int, where))
