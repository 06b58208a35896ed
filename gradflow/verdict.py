"""The verdict on one parameter: a closed enum, and the pure function that judges from what autograd did.

The trace has one say only: whether a parameter that autograd did not reach had a part in the loss all the same.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradflow.graph.recording import ParameterFact, StepFact

RELATIVE_FLOOR = 2e-6
"""A gradient under this share of its module's largest is rounding noise: a bias before BatchNorm measures 6e-8 of its weight's."""


class Verdict(str, Enum):
    """What a run says of one parameter. Names do not change once released."""

    LIVE = "live"
    ZERO = "zero"
    NONFINITE = "nonfinite"
    UNDEFINED = "undefined"
    SEVERED = "severed"
    ESCAPED = "escaped"
    UNUSED = "unused"
    FROZEN = "frozen"
    UNKNOWN = "unknown"

    @property
    def glyph(self) -> str:
        """One character for terminals and pictures."""
        return _GLYPHS[self]


_GLYPHS = {
    Verdict.LIVE: "●",
    Verdict.ZERO: "◌",
    Verdict.NONFINITE: "!",
    Verdict.UNDEFINED: "∅",
    Verdict.SEVERED: "×",
    Verdict.ESCAPED: "?",
    Verdict.UNUSED: "○",
    Verdict.FROZEN: "■",
    Verdict.UNKNOWN: "–",
}

WORST_FIRST = (
    Verdict.SEVERED,
    Verdict.UNDEFINED,
    Verdict.NONFINITE,
    Verdict.ESCAPED,
    Verdict.ZERO,
    Verdict.UNUSED,
    Verdict.UNKNOWN,
    Verdict.LIVE,
    Verdict.FROZEN,
)
"""Which verdict stands for a module with several. LIVE before FROZEN: a frozen base with a live adapter learns."""


class Influence(str, Enum):
    """What the trace says of a parameter that autograd did not reach."""

    LOSS = "loss"  # its value has a part in the loss
    HOST = "host"  # its value left torch, and was not seen to come back
    NONE = "none"  # no operation on the way to the loss took it
    UNTRACED = "untraced"  # nothing was recorded, so nothing can be said


def judge(fact: ParameterFact, influence: Influence) -> Verdict:
    """The verdict on one parameter over all the steps seen."""
    if not fact.requires_grad:
        return Verdict.FROZEN
    if fact.opaque or not fact.steps:
        return Verdict.UNKNOWN
    each = [judge_step(step) for step in fact.steps]
    for verdict in (Verdict.LIVE, Verdict.NONFINITE, Verdict.ZERO, Verdict.UNDEFINED):
        if verdict in each:
            return verdict
    return {
        Influence.LOSS: Verdict.SEVERED,
        Influence.HOST: Verdict.ESCAPED,
        Influence.NONE: Verdict.UNUSED,
        Influence.UNTRACED: Verdict.UNKNOWN,
    }[influence]


def judge_step(step: StepFact) -> Verdict | None:
    """The verdict of one step, None where autograd did not reach the parameter in it."""
    if not step.reached:
        return None
    if not step.delivered:
        return Verdict.UNDEFINED
    if not step.finite:
        return Verdict.NONFINITE
    floor = RELATIVE_FLOOR * (step.scale or 0.0)
    return Verdict.ZERO if step.grad_norm is not None and step.grad_norm <= floor else Verdict.LIVE


def live_steps(fact: ParameterFact) -> int:
    """In how many of the steps seen a gradient arrived that was not all zero."""
    return sum(judge_step(step) is Verdict.LIVE for step in fact.steps)
