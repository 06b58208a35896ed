"""GF106 gradient-dropped."""

from __future__ import annotations

from hand_built import Program, places, site

from gradflow.graph.recording import GradientDropped, StepFact
from gradflow.report import Severity
from gradflow.verdict import Verdict

NONE_CAME = (StepFact(1, reached=True, delivered=False), StepFact(2, reached=True, delivered=False))


def dropped(**facts: object) -> Program:
    """A custom Function that takes weight and bias, and returns None for both."""
    program = Program()
    waiting = program.layer("lin", steps=NONE_CAME, **facts)
    program.loss(program.op("MyLinear", *waiting, program.weight("enc.weight", live=True)))
    program.dropped.append(GradientDropped("MyLinear", site(40, "return grad @ w.T, None, None"), (0, 1, 2)))
    return program


def test_the_return_of_backward_is_blamed_for_the_parameters_that_wait() -> None:
    program = dropped()
    finding = program.finding()
    assert program.verdicts()["lin.weight"] is Verdict.UNDEFINED
    assert (finding.code, finding.name, finding.severity) == ("GF106", "gradient-dropped", Severity.ERROR)
    assert finding.message == "`MyLinear.backward` returns no gradient for 2 parameters"
    assert finding.parameters == ("lin.weight", "lin.bias")
    assert places(finding) == [("cause", 40, "returns None where a gradient is waited for")]
    assert finding.help == (
        "to train them, return the gradient of every differentiable input on line 40",
        "to freeze them, say so: `model.lin.requires_grad_(False)`",
    )


def test_what_no_optimizer_holds_is_information_only() -> None:
    finding = dropped(held=False).finding()
    assert finding.severity is Severity.INFO
    assert finding.notes == ("taken as meant: no optimizer holds them, while others are held",)


def test_two_calls_of_one_function_are_one_finding() -> None:
    program = dropped()
    program.dropped.append(program.dropped[0])
    assert program.finding().parameters == ("lin.weight", "lin.bias")


def test_a_parameter_that_gets_its_gradient_another_way_is_no_fault() -> None:
    program = Program()
    program.loss(program.op("MyLinear", program.weight("lin.weight", live=True)))
    program.dropped.append(GradientDropped("MyLinear", site(40), (0,)))
    assert program.findings() == []


def test_a_gradient_that_never_comes_is_said_though_no_function_was_seen_to_drop_it() -> None:
    program = dropped()
    program.dropped.clear()
    finding = program.finding()
    assert (finding.code, finding.severity, finding.sites) == ("GF106", Severity.ERROR, ())
    assert finding.message == "the backward pass reaches 2 parameters, and brings them no gradient"
    assert finding.help[0] == "where torch.compile is on, audit without it to see the line"
