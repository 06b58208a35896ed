"""GF202 nonfinite-gradient: where NaN or Inf is born."""

from __future__ import annotations

from typing import Any

from hand_built import Program, places, steps

from gradflow.graph.recording import StepFact, Trouble
from gradflow.report import Severity

NAN: dict[str, Any] = steps(float("nan"), float("nan"), finite=False)


def spoiled(label: str = "sqrt", *, known: bool = True, forward_finite: bool = True, **facts: Any) -> Program:
    """`lin` gets NaN from the operation on line 20."""
    program = Program()
    lin = program.layer("lin", **{**NAN, **facts})
    node = program.op(label, program.op("linear", *lin), line=20)
    program.loss(node)
    if known:
        program.origin(node, *lin, trouble=Trouble.NONFINITE, forward_finite=forward_finite)
    return program


def test_the_operation_where_it_is_born_is_the_cause() -> None:
    finding = spoiled().finding()
    assert (finding.code, finding.severity, finding.reason) == ("GF202", Severity.ERROR, None)
    assert finding.message == "the gradient of 2 parameters of `model` is NaN or Inf from `sqrt` back"
    assert places(finding) == [("cause", 20, "hands back NaN or Inf")]
    assert finding.help[0].endswith("add a small number under the root")


def test_a_loss_that_is_nan_itself_is_told_apart() -> None:
    finding = spoiled(forward_finite=False).finding()
    assert (finding.reason, finding.message) == ("forward", "the gradient of 2 parameters of `model` is NaN or Inf, as the loss itself is")


def test_what_is_born_in_the_backward_pass_is_blamed_before_the_loss() -> None:
    program = spoiled(forward_finite=False)
    program.origin(2, 0, 1, trouble=Trouble.NONFINITE)
    assert program.finding().reason is None


def test_without_a_known_operation_the_definition_is_shown() -> None:
    finding = spoiled(known=False).finding()
    assert (finding.code, places(finding)) == ("GF202", [("definition", 100, "gets NaN or Inf")])


def test_a_parameter_that_was_live_in_some_step_is_not_spoiled() -> None:
    mixed = (StepFact(1, True, True, 1.0), StepFact(2, True, True, float("nan"), finite=False))
    assert spoiled(steps=mixed).loud() == []


def test_the_help_is_for_the_operation() -> None:
    assert "clamp the divisor" in spoiled("div").finding().help[0]
    assert "choose the value with `torch.where` before" in spoiled("log").finding().help[0]
    assert "under the norm" in spoiled("linalgvectornorm").finding().help[0]
    assert "not to the ends themselves" in spoiled("acos").finding().help[0]
