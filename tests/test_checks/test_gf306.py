"""GF306 frozen-not-still: statistics that move in a frozen layer, and optimizers that move what is frozen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hand_built import Program, Via, places, site, steps

from gradflow.graph.flow import EdgeKind, Node, NodeKind
from gradflow.graph.recording import RestlessStatistics, StepFact
from gradflow.report import Severity


def frozen(name: str, program: Program, *, stale: float | None = None, moved: bool | None = False, **facts: Any) -> int:
    """A frozen weight that `opt` holds, in two steps."""
    seen = steps(None, None, frozen=True, stale_norm=stale, moved=moved)
    return program.weight(name, **{"requires_grad": False, "frozen_at": site(40, "model.enc.requires_grad_(False)"), **seen, **facts})


def program_with(**facts: Any) -> Program:
    """A live head behind a frozen weight."""
    program = Program()
    program.optimizer(steps=2)
    weight = frozen("enc.weight", program, **facts)
    program.loss(program.op("linear", program.weight("head.weight", live=True), weight))
    return program


def norm(**facts: Any) -> Program:
    """A live head behind a frozen normalisation layer whose statistics move."""
    program = program_with(**{"held": False, **facts})
    program.restless.append(RestlessStatistics("enc", "BatchNorm1d", (0,)))
    return program


def test_moving_statistics_are_a_warning_on_the_line_that_froze_the_layer() -> None:
    finding = norm().finding()
    assert (finding.code, finding.severity, finding.reason, finding.parameters) == (
        "GF306",
        Severity.WARNING,
        "statistics",
        ("enc.weight",),
    )
    assert finding.message == "`enc` is frozen, and its running statistics move: its mode is train"
    assert places(finding) == [("cause", 40, "freezes the parameters, not the statistics")]
    assert finding.help == ("call `model.enc.eval()` after each `train()`",)


def test_without_a_line_that_froze_it_the_definition_is_named() -> None:
    assert places(norm(frozen_at=None).finding()) == [("cause", 100, "defined here, and frozen")]


@pytest.mark.parametrize("meant", [{"twin": "model"}, {"written": True}])
def test_a_copy_and_a_value_written_between_steps_are_no_finding(meant: dict[str, Any]) -> None:
    assert norm(**meant).findings() == []
    assert program_with(stale=1.0, moved=True, **meant).findings() == []


def test_statistics_of_a_model_that_nobody_trains_are_info() -> None:
    assert norm(root="teacher").finding().severity is Severity.INFO


@pytest.mark.parametrize(
    ("stale", "decayed", "reason"), [(0.3, True, "stale-gradient"), (0.0, True, "weight-decay"), (0.0, False, "momentum")]
)
def test_what_an_optimizer_moves_though_it_is_frozen_is_a_warning(stale: float, decayed: bool, reason: str) -> None:
    finding = program_with(stale=stale, moved=True, decayed=decayed).finding()
    assert (finding.code, finding.severity, finding.reason) == ("GF306", Severity.WARNING, reason)
    assert finding.message.startswith("`enc.weight` is frozen, and `opt` still moves it: ")
    assert places(finding) == [
        ("cause", 40, "frozen here, with the gradient left in place"),
        ("definition", 70, "still holds them"),
    ]


@pytest.mark.parametrize("facts", [{"moved": False, "stale": 0.0}, {"moved": None, "stale": 1.0}, {"moved": True, "stale": None}])
def test_a_frozen_weight_that_no_step_is_known_to_have_moved_is_no_finding(facts: dict[str, Any]) -> None:
    assert program_with(**facts).findings() == []


def test_steps_from_before_the_freezing_do_not_count() -> None:
    assert program_with(**steps(1.0, 1.0, moved=True)).findings() == []


QUIET = StepFact(3, reached=False, delivered=False, stale_norm=0.0, moved=True)
LEARNED = StepFact(1, reached=True, delivered=True, grad_norm=1.0)


def muted(*seen: StepFact, under_no_grad: bool = True) -> Program:
    """A live head behind a weight that requires grad, and that runs with gradients off by now."""
    program = Program()
    program.optimizer(steps=3)
    weight = program.weight(
        "enc.weight", steps=tuple(replace(step, step=number) for number, step in enumerate(seen, start=1)), decayed=True
    )
    region = program.region() if under_no_grad else -1
    hidden = program.build.node(Node(NodeKind.OPERATION, "linear", region=region, step=1))
    program.build.edge(weight, hidden, EdgeKind.INERT)
    program.loss(program.op("linear", program.weight("head.weight", live=True), Via(hidden)))
    return program


def test_what_learned_and_then_runs_under_no_grad_is_frozen_and_is_not_to_move() -> None:
    finding = muted(LEARNED, QUIET, QUIET).finding()
    assert (finding.code, finding.severity, finding.reason, finding.parameters) == (
        "GF306",
        Severity.WARNING,
        "weight-decay",
        ("enc.weight",),
    )
    assert places(finding)[0][:2] == ("cause", 14)


@pytest.mark.parametrize(
    "program",
    [
        muted(LEARNED, QUIET),  # one step only
        muted(LEARNED, QUIET, LEARNED, QUIET, QUIET),  # in turns with another head
        muted(LEARNED, QUIET, QUIET, under_no_grad=False),  # merely unused
        muted(LEARNED, *(replace(QUIET, moved=False),) * 2),
    ],
)
def test_a_layer_that_merely_pauses_is_no_frozen_one(program: Program) -> None:
    assert program.loud() == []


def test_what_never_learned_is_cut_off_and_not_frozen() -> None:
    assert muted(QUIET, QUIET).loud() == ["GF101"]
