"""GF303 gradient-cleared: `zero_grad` between the backward pass and the step."""

from __future__ import annotations

from hand_built import Program, places, site

from gradflow.graph.recording import GradientCleared, StepFact
from gradflow.report import Severity


def cleared(*in_steps: bool) -> Program:
    """`lin` is cleared on line 80 in those steps."""
    program = Program()
    program.optimizer()
    each = tuple(StepFact(n, reached=True, delivered=True, cleared=one) for n, one in enumerate(in_steps, start=1))
    program.loss(program.op("linear", *program.layer("lin", steps=each)))
    program.cleared.append(GradientCleared("opt", site(80, "opt.zero_grad()"), (0, 1)))
    return program


def test_the_line_that_clears_is_the_cause() -> None:
    finding = cleared(True, True).finding()
    assert (finding.code, finding.severity, finding.parameters) == ("GF303", Severity.ERROR, ("lin.weight", "lin.bias"))
    assert finding.message == "the gradient of 2 parameters of `model` is cleared by `zero_grad` before `opt` steps"
    assert places(finding)[0] == ("cause", 80, "throws away what the backward pass brought")
    assert finding.help == ("move `zero_grad` on line 80 before `backward`, or behind `opt.step()`",)


def test_a_gradient_that_is_cleared_in_some_steps_only_is_no_finding() -> None:
    assert cleared(True, False).findings() == []


def test_one_line_that_clears_for_two_optimizers_is_one_cause() -> None:
    program = cleared(True, True)
    program.cleared.append(GradientCleared("other", site(80, "opt.zero_grad()"), (1,)))
    assert program.finding().parameters == ("lin.weight", "lin.bias")
