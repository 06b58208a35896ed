"""The verdict on one parameter, from the steps seen and the influence of its value."""

from __future__ import annotations

import pytest

from gradflow.graph.recording import ParameterFact, StepFact
from gradflow.verdict import RELATIVE_FLOOR, Influence, Verdict, judge, judge_step, live_steps

LIVE = StepFact(1, reached=True, delivered=True, grad_norm=1.0, scale=2.0)
ZERO = StepFact(2, reached=True, delivered=True, grad_norm=0.0, scale=2.0)
NAN = StepFact(3, reached=True, delivered=True, grad_norm=float("nan"), finite=False)
NONE = StepFact(4, reached=True, delivered=False)
MISSED = StepFact(5, reached=False, delivered=False)


def fact(*steps: StepFact, requires_grad: bool = True, opaque: str = "") -> ParameterFact:
    return ParameterFact("w", "model", (1,), 1, "float32", requires_grad, opaque=opaque, steps=steps)


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        ((LIVE,), Verdict.LIVE),
        ((MISSED, NONE, ZERO, NAN, LIVE), Verdict.LIVE),
        ((MISSED, NONE, ZERO, NAN), Verdict.NONFINITE),
        ((MISSED, NONE, ZERO), Verdict.ZERO),
        ((MISSED, NONE), Verdict.UNDEFINED),
    ],
)
def test_the_best_step_seen_gives_the_verdict(steps: tuple[StepFact, ...], verdict: Verdict) -> None:
    assert judge(fact(*steps), Influence.LOSS) is verdict


@pytest.mark.parametrize(
    ("influence", "verdict"),
    [
        (Influence.LOSS, Verdict.SEVERED),
        (Influence.HOST, Verdict.ESCAPED),
        (Influence.NONE, Verdict.UNUSED),
        (Influence.UNTRACED, Verdict.UNKNOWN),
    ],
)
def test_influence_decides_only_where_autograd_did_not_reach(influence: Influence, verdict: Verdict) -> None:
    assert judge(fact(MISSED), influence) is verdict
    assert judge(fact(LIVE), influence) is Verdict.LIVE


def test_a_parameter_without_requires_grad_is_frozen_whatever_else() -> None:
    assert judge(fact(MISSED, requires_grad=False), Influence.LOSS) is Verdict.FROZEN


def test_a_run_that_cannot_tell_says_unknown() -> None:
    assert judge(fact(), Influence.LOSS) is Verdict.UNKNOWN
    assert judge(fact(MISSED, opaque="the optimizer has not stepped yet"), Influence.LOSS) is Verdict.UNKNOWN


def test_a_gradient_under_the_relative_floor_is_zero_and_one_above_it_is_live() -> None:
    under, above = (StepFact(1, reached=True, delivered=True, grad_norm=2.0 * RELATIVE_FLOOR * f, scale=2.0) for f in (0.9, 1.1))
    assert [judge_step(under), judge_step(above)] == [Verdict.ZERO, Verdict.LIVE]


def test_without_a_scale_only_exact_zero_is_zero() -> None:
    tiny, zero = (StepFact(1, reached=True, delivered=True, grad_norm=norm) for norm in (1e-30, 0.0))
    assert [judge_step(tiny), judge_step(zero)] == [Verdict.LIVE, Verdict.ZERO]


def test_a_step_that_autograd_did_not_reach_has_no_verdict_of_its_own() -> None:
    assert judge_step(MISSED) is None


def test_live_steps_counts_steps_with_a_gradient_that_is_not_zero() -> None:
    assert live_steps(fact(LIVE, ZERO, MISSED, NAN, LIVE)) == 2


def test_every_verdict_has_a_glyph_of_its_own() -> None:
    assert len({verdict.glyph for verdict in Verdict}) == len(Verdict)
