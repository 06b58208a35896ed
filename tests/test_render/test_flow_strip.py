"""The flow strip: which models have one, which arrows are live, and where the cut is marked."""

from __future__ import annotations

from dataclasses import replace

import report_examples as examples

from gradflow.graph.flow import CutReason, EdgeKind, FlowGraphBuilder, Node, NodeKind
from gradflow.graph.site import Site
from gradflow.render.glyphs import UNICODE
from gradflow.render.strip import flow_strip
from gradflow.report import Outcome, Report
from gradflow.verdict import Verdict


def strip(report: Report) -> str | None:
    text = flow_strip(report, UNICODE, str)
    return None if text is None else text.plain


def test_cut_of_a_region_is_marked_where_values_leave_it() -> None:
    assert strip(examples.no_grad_report()) == "input ╌╌> [× fc1] ╌╌> [× fc2] ╌╌> [× fc3] ╌╌× line 14 ╌╌> [● head] ━━> loss"


def test_frozen_layer_lets_the_gradient_through() -> None:
    assert strip(examples.clean_report()) == "input ╌╌> [● lin0] ━━> [■ lin1] ━━> [● lin2] ━━> loss"


def test_detach_between_layers_is_marked_on_its_link_alone() -> None:
    builder = FlowGraphBuilder()
    cut = builder.cut(CutReason.DETACH, Site("net.py", 9), ".detach()")
    examples.chain_flow(builder, ["a", "b", "c"], set(), cut, detach_after="b")
    rows = (*examples.linear("a", Verdict.SEVERED), *examples.linear("b", Verdict.SEVERED), *examples.linear("c"))
    report = Report(Outcome.FINDINGS, examples.target(), rows, flow=builder.build())
    assert strip(report) == "input ╌╌> [× a] ━━> [× b] ╌╌× line 9 ╌╌> [● c] ━━> loss"


def test_model_that_branches_has_no_strip() -> None:
    report = examples.clean_report()
    builder = FlowGraphBuilder()
    source = builder.node(Node(NodeKind.INPUT, "x"))
    heads = [builder.node(Node(NodeKind.OPERATION, "linear", layer)) for layer in ("lin0", "lin1", "lin2")]
    for head in heads:
        builder.edge(source, head, EdgeKind.INERT)
    loss = builder.node(Node(NodeKind.OPERATION, "add"))
    for head in heads:
        builder.edge(head, loss, EdgeKind.LIVE)
    builder.losses.append(loss)
    assert strip(replace(report, flow=builder.build())) is None


def test_two_roots_have_no_strip() -> None:
    report = examples.clean_report()
    assert strip(replace(report, parameters=(replace(report.parameters[0], root="other"), *report.parameters[1:]))) is None


def test_report_without_a_flow_has_no_strip() -> None:
    assert strip(examples.gpt_report()) is None
