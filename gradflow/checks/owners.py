"""Which optimizer to speak of, and how: the one that holds a parameter's siblings, its constructor's line, its name in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gradflow.checks.base import Case
from gradflow.graph.recording import OptimizerFact


def optimizer_named(case: Case, name: str) -> OptimizerFact | None:
    """The optimizer of that name, if it was seen."""
    return next((optimizer for optimizer in case.recording.optimizers if optimizer.name == name), None)


def optimizer_of(case: Case, siblings: Iterable[int]) -> OptimizerFact | None:
    """The optimizer that holds most of `siblings` (indices); where none holds any, the one that took most steps."""
    held = Counter(name for index in siblings for name in case.facts[index].optimizers)
    ranked = sorted(case.recording.optimizers, key=lambda optimizer: (-held[optimizer.name], -optimizer.steps))
    return ranked[0] if ranked else None


def held_by(case: Case, optimizer: str) -> list[int]:
    """Indices of the parameters that the optimizer of that name holds."""
    return [index for index, fact in enumerate(case.facts) if optimizer in fact.optimizers]


def stepped_elsewhere(case: Case, index: int) -> bool:
    """Whether an optimizer that took a step holds the parameter."""
    return any(optimizer.steps for optimizer in case.recording.optimizers if optimizer.name in case.facts[index].optimizers)


def line_of(optimizer: OptimizerFact | None) -> str:
    """` on line 12`, or nothing where the place is not known."""
    return f" on line {optimizer.site.line}" if optimizer is not None and optimizer.site is not None else ""
