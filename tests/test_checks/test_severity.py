"""The rule that keeps gradflow from crying wolf, as a table."""

from __future__ import annotations

from typing import Any

import pytest
from hand_built import Program, Via

from gradflow.checks.severity import reachability_severities, reachability_severity
from gradflow.graph.recording import StepFact
from gradflow.report import Severity

LIVE_ONCE = (StepFact(1, reached=True, delivered=True, grad_norm=1.0), StepFact(2, reached=False, delivered=False))


def severity(other: dict[str, Any] | None, **facts: Any) -> Severity | None:
    """Of a severed `enc.weight` with `facts`, beside another parameter with its own."""
    program = Program()
    weight = program.weight("enc.weight", **facts)
    if other is not None:
        program.weight("other.weight", **other)
    program.loss(program.op("detach", Via(weight, program.cut()), line=28))
    recording = program.recording()
    alone = reachability_severity(recording.parameters[0], recording)
    assert reachability_severities(recording)[0] is alone
    return alone


LIVE_HELD = {"live": True}
LIVE_UNHELD = {"live": True, "held": False}


@pytest.mark.parametrize(
    ("case", "other", "facts", "expected"),
    [
        ("held by an optimizer that stepped", LIVE_HELD, {}, Severity.ERROR),
        ("held by an optimizer that stepped, alone", None, {}, Severity.ERROR),
        ("frozen", LIVE_HELD, {"requires_grad": False}, None),
        ("live in one step of two", LIVE_HELD, {"steps": LIVE_ONCE}, None),
        ("written between steps by something else", LIVE_HELD, {"written": True}, Severity.INFO),
        ("held by none while others are held", LIVE_HELD, {"held": False}, Severity.INFO),
        (
            "held by none while others are held, beside trained siblings",
            LIVE_HELD,
            {"held": False, "siblings_trained": True},
            Severity.INFO,
        ),
        ("its optimizer did not step while another did", LIVE_HELD, {"stepped": False}, Severity.INFO),
        ("its optimizer did not step, and nor did any", {"live": True, "stepped": False}, {"stepped": False}, Severity.INFO),
        ("no optimizer stepped, siblings trained", {"stepped": False}, {"stepped": False, "siblings_trained": True}, Severity.ERROR),
        ("no optimizer, siblings trained", LIVE_UNHELD, {"held": False, "siblings_trained": True}, Severity.ERROR),
        ("no optimizer, nothing trained at all", {"held": False}, {"held": False}, Severity.ERROR),
        ("no optimizer, another root trained", LIVE_UNHELD, {"held": False}, Severity.INFO),
    ],
)
def test_the_optimizer_declares_intent(case: str, other: dict[str, Any] | None, facts: dict[str, Any], expected: Severity | None) -> None:
    assert severity(other, **facts) is expected, case


def distillation(*, order: tuple[int, int], label: str = "kl_div", stepped: bool = False) -> Severity | None:
    """Of a teacher beside its student in one model, whose outputs meet in one loss; in a program without an optimizer."""
    program = Program()
    held = {"held": stepped, "siblings_trained": True}
    teacher = program.op("linear", Via(program.weight("teacher.weight", **held), program.region()), region=0)
    student = program.op("linear", program.weight("student.weight", live=True, **held))
    program.loss(program.op(label, *((Via(teacher), student)[place] for place in order)))
    return reachability_severities(program.recording())[0]


def test_a_teacher_is_told_by_being_what_the_loss_has_to_meet() -> None:
    assert distillation(order=(1, 0)) is Severity.INFO
    assert distillation(order=(0, 1), label="mse_loss") is Severity.INFO


def test_a_cut_branch_that_is_no_target_is_an_error_beside_trained_siblings() -> None:
    assert distillation(order=(1, 0), label="mul") is Severity.ERROR


def test_an_optimizer_that_holds_the_teacher_says_that_it_should_learn() -> None:
    assert distillation(order=(1, 0), stepped=True) is Severity.ERROR
