"""A closer look at single parameters: reports built by hand, no torch."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest
from report_examples import chain_flow, linear, row, target

from gradflow.focus import with_focus
from gradflow.graph.flow import CutReason, EdgeKind, FlowGraphBuilder, Node, NodeKind
from gradflow.graph.site import Site
from gradflow.render import Display, render
from gradflow.report import Finding, Neighbour, Outcome, Report, Severity, StepRow
from gradflow.verdict import Verdict

SITE = Site("net.py", 14, function="Net.forward", source="with torch.no_grad():")


def chain() -> Report:
    """a -> [b] -> c -> loss, with b under no_grad: a and b are severed, c is live."""
    builder = FlowGraphBuilder()
    cut = builder.cut(CutReason.NO_GRAD, SITE, "torch.no_grad()", region=True)
    chain_flow(builder, ["a", "b", "c"], {"b"}, cut)
    rows = [row(f"{name}.weight", Verdict.LIVE if name == "c" else Verdict.SEVERED, 0.5 if name == "c" else None) for name in "abc"]
    found = Finding("GF101", "severed-parameter", Severity.ERROR, "cut", ("a.weight", "b.weight"))
    # chain_flow numbers the parameter of layer n as 2 * n
    padded = [entry for one in rows for entry in (one, replace(one, name=one.name.replace("weight", "bias")))]
    return Report(Outcome.FINDINGS, target(), tuple(padded), (found,), 4, 4, flow=builder.build())


def test_a_severed_layer_is_told_with_its_way_its_cut_and_its_neighbours() -> None:
    (focus,) = with_focus(chain(), ["b.weight"]).focus
    assert focus.why == "it does not learn: its value reaches the loss, but `torch.no_grad()` stops the gradient"
    assert (focus.reaches_loss, focus.path, focus.findings) == (True, ("b", "c"), ("GF101",))
    assert [(cut.reason, cut.site, cut.beside) for cut in focus.cuts] == [(CutReason.NO_GRAD, SITE, False)]
    assert focus.neighbours == (Neighbour("a", True, Verdict.SEVERED), Neighbour("c", False, Verdict.LIVE, pytest.approx(0.5 * 2**0.5)))


def test_a_live_layer_is_explained_too() -> None:
    (focus,) = with_focus(chain(), ["c.weight"]).focus
    assert focus.why == "it learns: a gradient arrives in 4 of 4 steps, and its value changes"
    assert (focus.path, focus.cuts, focus.findings) == (("c",), (), ())
    assert [near.module for near in focus.neighbours if near.before] == ["b"]


def test_a_cut_on_another_way_of_a_live_parameter_is_told_apart() -> None:
    builder = FlowGraphBuilder()
    cut = builder.cut(CutReason.DETACH, SITE, ".detach()")
    weight = builder.node(Node(NodeKind.PARAMETER, "a.weight", parameter=0))
    value = builder.node(Node(NodeKind.OPERATION, "linear", "a"))
    builder.edge(weight, value, EdgeKind.LIVE)
    stopped = builder.node(Node(NodeKind.OPERATION, "detach"))
    builder.edge(value, stopped, EdgeKind.CUT, cut)
    loss = builder.node(Node(NodeKind.OPERATION, "mse_loss"))
    builder.edge(value, loss, EdgeKind.LIVE)
    builder.edge(stopped, loss, EdgeKind.INERT)
    builder.losses.append(loss)
    report = Report(Outcome.CLEAN, target(), (row("a.weight", grad=1.0),), flow=builder.build())
    (focus,) = with_focus(report, ["a.*"]).focus
    assert [(cut.label, cut.beside) for cut in focus.cuts] == [(".detach()", True)]
    assert "on another way: .detach() (net.py:14)" in render(replace(report, focus=(focus,)))


@pytest.mark.parametrize(
    ("verdict", "changes", "why"),
    [
        (Verdict.FROZEN, {}, "it does not learn: it is frozen, `requires_grad` is False"),
        (Verdict.UNUSED, {}, "it does not learn: no operation takes it on the way to the loss"),
        (Verdict.ZERO, {}, "it does not learn: the gradient that arrives is exactly zero in each of 4 steps"),
        (Verdict.NONFINITE, {}, "it does not learn: its gradient holds NaN or Inf"),
        (Verdict.UNKNOWN, {"because": "functional training"}, "this run cannot tell: functional training"),
        (Verdict.ESCAPED, {}, "it does not learn: its value leaves torch, and was not seen to come back to the loss"),
        (Verdict.UNDEFINED, {}, "it does not learn: autograd's graph leads to it, but the backward pass brings it nothing"),
        (
            Verdict.LIVE,
            {"moved": False, "optimizers": ()},
            "it does not learn: a gradient arrives in 4 of 4 steps, but its value did not change, and no optimizer holds it",
        ),
        (Verdict.LIVE, {"moved": None, "live_in": (1, 1)}, "a gradient arrives in 1 of 1 step"),
    ],
)
def test_why_is_one_sentence_for_every_verdict(verdict: Verdict, changes: dict[str, object], why: str) -> None:
    report = Report(Outcome.CLEAN, target(), (replace(row("a.weight", verdict), **changes),))  # type: ignore[arg-type]
    (focus,) = with_focus(report, ["a.weight"]).focus
    assert (focus.why, focus.reaches_loss) == (why, False)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("enc.3.*", ["enc.3.weight", "enc.3.bias"]),
        ("enc.3", ["enc.3.weight", "enc.3.bias"]),
        ("*.bias", ["enc.3.bias", "enc.30.bias"]),
        ("hidden[0].weight", ["hidden[0].weight"]),
    ],
)
def test_a_pattern_is_a_glob_a_name_or_a_module(pattern: str, named: list[str]) -> None:
    report = Report(Outcome.CLEAN, target(), (*linear("enc.3"), *linear("enc.30"), row("hidden[0].weight")))
    assert [report.parameters[focus.parameter].name for focus in with_focus(report, [pattern]).focus] == named


def test_a_pattern_that_names_nothing_is_a_note_with_the_nearest_name() -> None:
    report = Report(Outcome.CLEAN, target(), (*linear("enc.3"),))
    looked = with_focus(report, ["enc.4.weight"])
    assert looked.focus == ()
    assert looked.notes == ("`--param enc.4.weight` names no parameter; there is `enc.3.weight`",)


def test_the_section_says_what_was_not_measured() -> None:
    report = chain()
    rows = tuple(replace(entry, history=(StepRow(1, entry.verdict, 0.5, lr=0.1),)) for entry in report.parameters)
    text = render(with_focus(replace(report, parameters=rows), ["c.weight"]), display=Display(width=120))
    assert "focus: c (Linear)" in text
    assert "live in 4 of 4, |g| 5.0e-01, |w| 1.5e+00, lr 1.0e-01, |dw|/|w| not measured, held by opt" in text
    assert "way to the loss: c → loss" in text and "cuts in between: none" in text and "zeros in output: not measured" in text
    assert "focus:" not in render(report)


def test_many_layers_are_folded_unless_verbose() -> None:
    report = with_focus(Report(Outcome.CLEAN, target(), tuple(row(f"l{n}.weight") for n in range(12))), ["*"])
    assert "... and 6 more layers in focus" in render(report)
    assert render(report, display=Display(verbose=True)).count("focus: l") == 12


def test_focus_suppressed_and_known_findings_come_back_from_the_document() -> None:
    report = with_focus(chain(), ["*.weight"])
    report = replace(report, suppressed=report.findings, known=report.findings, findings=())
    document = json.loads(report.to_json())
    jsonschema.validate(document, json.loads(files("gradflow").joinpath("schema.json").read_text("utf-8")))
    assert [entry["parameter"] for entry in document["focus"]] == ["a.weight", "b.weight", "c.weight"]
    assert (document["focus"][1]["cuts"][0]["line"], document["focus"][1]["update_ratio"]) == (14, None)
    back = Report.from_json(report.to_json())
    assert (back.suppressed, back.known) == (report.suppressed, report.known)
    assert [replace(focus, cuts=()) for focus in back.focus] == [replace(focus, cuts=()) for focus in report.focus]
    assert [cut.site and cut.site.line for focus in back.focus for cut in focus.cuts] == [14, 14]
    assert "focus" not in json.loads(chain().to_json())
