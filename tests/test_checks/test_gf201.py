"""GF201 zero-gradient, and GF902 and GF904, which take the harmless ones from it."""

from __future__ import annotations

from typing import Any

import pytest
from hand_built import Program, places, steps

from gradflow.graph.recording import Operand
from gradflow.report import Severity


def dead(operand: Operand = Operand.PARAMETER, label: str = "relu", satisfied: bool = False, **facts: Any) -> Program:
    """`lin` gets exactly zero from the operation on line 20; the head behind it is live."""
    program = Program()
    lin = program.layer("lin", **{**steps(0.0, 0.0), **facts})
    node = program.op(label, program.op("linear", *lin), line=20)
    program.loss(program.op("linear", node, *program.layer("head", live=True)))
    program.origin(node, *lin, operand=operand, satisfied=satisfied)
    return program


def test_the_operation_where_it_becomes_zero_is_the_cause() -> None:
    finding = dead().finding()
    assert (finding.code, finding.severity, finding.reason) == ("GF201", Severity.ERROR, "parameter")
    assert finding.message == "the gradient of 2 parameters of `lin` is exactly zero from `relu` back"
    assert places(finding) == [("cause", 20, "hands back a gradient of zero")]
    assert finding.notes == ("`ReluBackward0`: its derivative is zero at the values that it was given",)
    assert finding.help[0].startswith("start the layer before `relu` on line 20 where it is positive")


@pytest.mark.parametrize(
    ("operand", "satisfied", "severity"),
    [
        (Operand.CONSTANT, False, Severity.ERROR),
        (Operand.SHAPE, False, Severity.ERROR),
        (Operand.PARAMETER, False, Severity.ERROR),
        (Operand.BATCH, False, Severity.INFO),
        (Operand.PARAMETER, True, Severity.INFO),
    ],
)
def test_what_this_batch_or_a_met_hinge_makes_zero_is_information(operand: Operand, satisfied: bool, severity: Severity) -> None:
    finding = dead(operand, satisfied=satisfied).finding()
    assert (finding.code, finding.severity, bool(finding.help)) == ("GF201", severity, severity is Severity.ERROR)


def test_before_any_step_zeros_beside_weights_that_start_as_zero_prove_nothing() -> None:
    def severity(held: bool, norm: float) -> Severity:
        program = Program()
        lin, gate = program.layer("lin", held=held, **steps(0.0)), program.weight("gate.weight", live=True, held=held, weight_norm=norm)
        node = program.op("mul", program.op("linear", *lin), line=20)
        program.loss(program.op("linear", node, program.op("linear", gate)))
        program.origin(node, *lin)
        return next(finding.severity for finding in program.findings() if finding.code == "GF201")

    assert severity(held=False, norm=0.0) is Severity.INFO
    assert severity(held=False, norm=1.0) is Severity.ERROR
    assert severity(held=True, norm=0.0) is Severity.ERROR


def test_zero_without_a_known_operation_says_nothing() -> None:
    program = dead()
    program.origins.clear()
    assert program.findings() == []


def test_a_parameter_that_is_live_in_some_step_is_not_dead() -> None:
    assert dead(**steps(1.0, 0.0)).loud() == []


def test_a_fault_explains_a_parameter_before_the_data_does() -> None:
    program = dead(Operand.BATCH)
    program.origin(3, 0, 1, operand=Operand.CONSTANT)
    assert program.finding().severity is Severity.ERROR


@pytest.mark.parametrize(
    ("label", "operand", "words"),
    [
        ("softmax", Operand.SHAPE, "let `softmax` on line 20 run over a dimension of more than one element"),
        ("sign", Operand.CONSTANT, "take a smooth step in place of `sign` on line 20"),
        ("mul", Operand.CONSTANT, "let the factor on line 20 be other than zero"),
        ("clamp", Operand.PARAMETER, "bring the values before `clamp` on line 20 into its range"),
        ("sigmoid", Operand.PARAMETER, "nearer to zero: it is saturated"),
        ("gather", Operand.PARAMETER, "change what goes into `gather` on line 20"),
    ],
)
def test_the_help_is_for_the_operation(label: str, operand: Operand, words: str) -> None:
    assert words in dead(operand, label).finding().help[0]


def conv(bias: dict[str, Any], weight: dict[str, Any], owner_class: str = "Conv2d", operand: Operand = Operand.PARAMETER) -> Program:
    """A layer whose bias gets zero at the operation that takes it."""
    program = Program()
    kernel = program.weight("conv.weight", owner_class=owner_class, **weight)
    shift = program.weight("conv.bias", owner_class=owner_class, **bias)
    node = program.op("conv2d", kernel, shift)
    program.loss(node)
    program.origin(node, shift, operand=operand)
    return program


def test_a_bias_that_gets_rounding_noise_is_redundant() -> None:
    finding = conv({**steps(6e-8, 6e-8, scale=1.0)}, {"live": True}).finding()
    assert (finding.code, finding.severity, finding.parameters) == ("GF902", Severity.INFO, ("conv.bias",))
    assert finding.message == "the loss does not depend on `conv.bias` (1 parameter): the gradient cancels"


def test_a_bias_that_gets_exactly_zero_beside_a_live_weight_is_redundant() -> None:
    assert conv(steps(0.0, 0.0), {"live": True}).finding().code == "GF902"


def test_a_bias_of_an_unknown_class_beside_a_live_weight_is_a_fault_of_its_operation() -> None:
    assert conv(steps(0.0, 0.0), {"live": True}, "NoisyScale", Operand.CONSTANT).finding().code == "GF201"


def test_a_bias_beside_a_dead_weight_is_dead() -> None:
    assert conv(steps(0.0, 0.0), steps(0.0, 0.0)).loud() == ["GF201"]


def lora(*, norm: float = 0.0, second: dict[str, Any] | None = None) -> Program:
    """The first factor gets zero at the operation that takes the second one."""
    program = Program()
    first = program.weight("lora_a", **steps(0.0))
    factor = program.weight("lora_b", weight_norm=norm, **(second or steps(1.0)))
    node = program.op("linear", program.op("linear", first), factor)
    program.loss(node)
    program.origin(node, first)
    return program


def test_a_layer_next_to_a_zero_factor_that_learns_is_zero_at_first_only() -> None:
    finding = lora().finding()
    assert (finding.code, finding.severity, finding.parameters) == ("GF904", Severity.INFO, ("lora_a",))
    assert finding.message == "the gradient of `lora_a` is zero at first, beside a factor that starts as zero"


@pytest.mark.parametrize("facts", [{"norm": 1.0}, {"second": {"requires_grad": False}}, {"second": steps(0.0)}])
def test_a_factor_that_cannot_leave_zero_is_a_fault(facts: dict[str, Any]) -> None:
    assert "GF201" in lora(**facts).loud()


def test_zero_first_and_live_ever_after_is_information() -> None:
    program = Program()
    program.loss(program.op("linear", program.weight("branch.weight", **steps(0.0, 1.0, 1.0))))
    assert program.finding().code == "GF904"


def test_zero_in_a_later_step_has_nothing_to_do_with_the_start() -> None:
    program = Program()
    program.loss(program.op("linear", program.weight("branch.weight", **steps(0.0, 1.0, 0.0))))
    assert program.findings() == []


def test_what_is_made_zero_outside_the_graph_is_told_by_its_own_words() -> None:
    program = Program()
    weight = program.weight("enc.weight", **steps(0.0, 0.0))
    node = program.op("linear", weight, program.weight("head.weight", live=True))
    program.loss(node)
    for operand, words in ((Operand.HOOK, "is made zero by a hook"), (Operand.OVERWRITTEN, "is made zero by `linear` before the step")):
        program.origins.clear()
        program.origin(node, weight, operand=operand)
        finding = program.finding()
        assert finding.severity is Severity.ERROR and finding.message.endswith(words)
        program.origins.clear()
        program.origin(node, weight, operand=operand, meant=True)
        assert program.finding().severity is Severity.INFO
