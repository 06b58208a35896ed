"""GF305 never-stepped: an optimizer that waits for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hand_built import Program, places

from gradflow.graph.recording import TargetKind
from gradflow.report import Severity


def waiting(waited: int = 8, kind: TargetKind = TargetKind.API, also_held: bool = False, **facts: Any) -> Program:
    """A generator that is trained, and a critic whose optimizer took no step."""
    program = Program(kind)
    program.optimizer("opt_g", steps=8)
    program.optimizer("opt_d", steps=0, line=71, waited=waited)
    out = program.op("linear", *program.layer("g.0", root="g", live=True, optimizers=("opt_g",)))
    holders = ("opt_d", "opt_g") if also_held else ("opt_d",)
    critic = {"root": "d", "live": True, "optimizers": holders, "stepped": also_held}
    opaque = {} if also_held else {"opaque": "its optimizer `opt_d` has not stepped yet"}
    program.loss(program.op("linear", out, *program.layer("d.0", **{**critic, **opaque, **facts})))
    return program


def test_the_constructor_of_the_optimizer_is_the_cause() -> None:
    finding = waiting().finding()
    assert (finding.code, finding.severity, finding.parameters) == ("GF305", Severity.ERROR, ("d.0.weight", "d.0.bias"))
    assert finding.message == "`opt_d` never steps, and 2 parameters of `d` wait for it"
    assert places(finding) == [("cause", 71, "is built here, and its `step` is never called")]
    assert finding.help[0] == "call `opt_d.step()` after the backward pass that brings them a gradient"


@pytest.mark.parametrize(
    ("waited", "kind", "codes"),
    [
        (7, TargetKind.API, []),
        (3, TargetKind.SCRIPT, ["GF305"]),
        (2, TargetKind.SCRIPT, []),
    ],
)
def test_a_seldom_one_is_waited_for(waited: int, kind: TargetKind, codes: list[str]) -> None:
    assert waiting(waited, kind).loud() == codes


def test_a_run_that_was_stopped_early_proves_less() -> None:
    program = waiting(8, TargetKind.SCRIPT)
    program.timed_out = True
    assert program.loud() == []


@pytest.mark.parametrize("facts", [{"also_held": True}, {"live": False}, {"requires_grad": False}, {"moved": True}])
def test_what_another_optimizer_steps_on_or_gets_no_gradient_does_not_wait(facts: dict[str, Any]) -> None:
    assert "GF305" not in waiting(**facts).loud()
