"""GF304 update-lost: a learning rate of 0, and updates that round away."""

from __future__ import annotations

from typing import Any

import pytest
from hand_built import Program, places, site, steps

from gradflow.graph.recording import StepFact
from gradflow.report import Severity


def stuck(*, lr: float, kind: str = "AdamW", scheduled: bool = False, moved: bool | None = False, count: int = 3, **facts: Any) -> Program:
    """A live norm whose gain of ones does not move."""
    program = Program()
    program.optimizer(kind=kind, steps=count, scheduled=scheduled)
    defaults = {"largest_weight": 1.0, "weight_norm": 2.0, **steps(*[1.0] * count, lr=lr, moved=moved)}
    program.loss(program.op("mul", program.weight("norm.weight", **{**defaults, **facts})))
    return program


def test_a_learning_rate_of_zero_names_the_optimizer() -> None:
    finding = stuck(lr=0.0).finding()
    assert (finding.code, finding.severity, finding.reason) == ("GF304", Severity.ERROR, "lr-zero")
    assert finding.message == "`opt` steps, and `norm.weight` does not change: its learning rate is 0"
    assert places(finding) == [("cause", 70, "steps with a learning rate of 0")]


@pytest.mark.parametrize(
    ("scheduled", "peak", "codes"),
    [(True, 1e-3, []), (True, None, []), (True, 0.0, ["GF304"]), (False, None, ["GF304"]), (False, 1e-3, [])],
)
def test_a_warm_up_from_zero_is_no_fault_unless_its_peak_is_zero(scheduled: bool, peak: float | None, codes: list[str]) -> None:
    assert stuck(lr=0.0, scheduled=scheduled, peak_lr=peak).loud() == codes


def test_an_update_that_rounds_away_names_the_cast_and_the_optimizer() -> None:
    finding = stuck(lr=1e-4, dtype="bfloat16", cast=site(33, "model = LM().to(torch.bfloat16)")).finding()
    assert (finding.code, finding.reason) == ("GF304", "rounding")
    assert places(finding) == [("cause", 33, "in bfloat16 from here on"), ("definition", 70, "its updates round away")]
    assert finding.notes == ("the largest relative update seen is about 0.0001; bfloat16 takes none under about 0.002",)


def test_without_a_known_cast_the_definition_stands_for_it() -> None:
    assert places(stuck(lr=1e-4, dtype="bfloat16").finding())[0][:2] == ("cause", 100)


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        ({"peak_lr": 1e-4}, ["GF304"]),  # 1e-4 is under 2^-9 of 1.0
        ({"peak_lr": 1e-2}, []),  # a warm-up: the peak will move it
        ({"peak_lr": 1e-4, "largest_weight": 0.3, "weight_norm": 0.1}, []),  # weights spread around zero: the small ones move first
        ({"peak_lr": 1e-6, "largest_weight": 0.3, "weight_norm": 0.1}, ["GF304"]),
        ({"peak_lr": None}, []),
    ],
)
def test_rounding_is_judged_at_the_peak_of_the_schedule(facts: dict[str, Any], codes: list[str]) -> None:
    assert stuck(lr=1e-7, dtype="bfloat16", scheduled=True, **facts).loud() == codes


def test_without_a_schedule_what_was_seen_is_proof_enough() -> None:
    assert stuck(lr=1e-4, kind="SGD", dtype="float16").loud() == ["GF304"]


def test_plain_descent_is_measured_by_its_gradient() -> None:
    large: dict[str, Any] = {"dtype": "bfloat16", "scheduled": True, "kind": "SGD", "peak_lr": 1e-4}
    assert stuck(lr=1e-6, **large).loud() == ["GF304"]
    assert stuck(lr=1e-6, **large, **steps(900.0, 900.0, 900.0, lr=1e-6, moved=False)).loud() == []


@pytest.mark.parametrize(
    "facts",
    [
        {"moved": True},
        {"moved": None},
        {"count": 1},
        {"dtype": "float32", "lr": 1e-12},
        steps(1.0, None, 1.0, lr=0.0, moved=False),
        {"steps": (StepFact(1, True, True, 1.0, lr=0.0, moved=False), StepFact(2, True, True, 1.0, lr=0.0, moved=True))},
    ],
)
def test_what_moves_or_was_not_measured_is_no_finding(facts: dict[str, Any]) -> None:
    assert stuck(**{"lr": 0.0, **facts}).loud() == []


def test_one_optimizer_and_reason_is_one_finding() -> None:
    program = stuck(lr=0.0)
    program.weight("other.weight", **steps(1.0, 1.0, lr=0.0, moved=False))
    assert program.finding().parameters == ("norm.weight", "other.weight")
