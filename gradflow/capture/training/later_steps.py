"""One step of a long training, seen by autograd's graph and by `.grad` alone, and a history of steps that does not grow without end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from gradflow.capture.facts.facts import steps_of
from gradflow.capture.training.seen import Seen
from gradflow.graph.recording import ParameterFact, StepFact
from gradflow.verdict import Verdict, judge_step

HISTORY_AT_MOST = 64
"""Steps that are kept of one parameter. Beyond that every second one goes, of those that tell nothing new."""
_KEPT_AT_THE_ENDS = 3


def look_at_step(
    seen: Seen, parameters: Sequence[ParameterFact], tensors: Sequence[torch.Tensor | None], step: int
) -> list[StepFact | None]:
    """What the last step brought each parameter, numbered `step`; None where it is frozen or gone, and for leaves made anew."""
    found: list[StepFact | None] = []
    largest: dict[str, float] = {}
    for fact, tensor in zip(parameters, tensors, strict=True):
        entry = None if tensor is None or not tensor.requires_grad else _fact(seen, tensor, step)
        if entry is not None and entry.grad_norm is not None and entry.finite:
            largest[fact.owner] = max(largest.get(fact.owner, 0.0), entry.grad_norm)
        found.append(entry)
    return [None if entry is None else replace(entry, scale=largest.get(fact.owner)) for fact, entry in zip(parameters, found, strict=True)]


def _fact(seen: Seen, tensor: torch.Tensor, step: int) -> StepFact:
    leaf = seen.trace.leaf(tensor)
    if leaf is None:
        return StepFact(step, reached=False, delivered=False)
    holders = [watched for watched in seen.optimizers.seen if leaf.serial in watched.holds]
    facts = steps_of(seen, [leaf.serial], holders)
    best = next((fact for fact in reversed(facts) if judge_step(fact) is Verdict.LIVE), facts[-1] if facts else None)
    return StepFact(step, reached=False, delivered=False) if best is None else replace(best, step=step)


def thinned(steps: tuple[StepFact, ...]) -> tuple[StepFact, ...]:
    """`steps`, of which at most `HISTORY_AT_MOST` are left: the first and last, those round a change of verdict, and some of the rest."""
    if len(steps) <= HISTORY_AT_MOST:
        return steps
    verdicts = [judge_step(step) for step in steps]
    inner = range(_KEPT_AT_THE_ENDS, len(steps) - _KEPT_AT_THE_ENDS)
    dull = [index for index in inner if verdicts[index - 1] is verdicts[index] is verdicts[index + 1]]
    dropped = set((dull if len(dull) >= HISTORY_AT_MOST // 4 else list(inner))[::2])
    return tuple(step for index, step in enumerate(steps) if index not in dropped)
