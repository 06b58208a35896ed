"""When a parameter that gets no gradient is a fault: the optimizer declares intent, and intent is respected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradflow.checks.base import Case
from gradflow.checks.targets import targets_only
from gradflow.graph.recording import ParameterFact, Recording
from gradflow.report import Severity
from gradflow.verdict import live_steps


def reachability_severity(fact: ParameterFact, recording: Recording) -> Severity | None:
    """How bad it is that no gradient reaches this parameter; None: it is no finding (frozen, or live in some step).

    An error, unless something tells that it is meant (then info): its value is written between watched steps by something else than an
    optimizer (a moving average); no optimizer holds it while others are held; the one that holds it never stepped while another did; or,
    in a program where no optimizer stepped, other roots are trained and nothing of its own root is, or it is only what a loss has to meet
    (a teacher).
    """
    return _severity(fact, _intent(recording), recording.parameters.index(fact) in targets_only(recording.graph))


def reachability_severities(recording: Recording) -> tuple[Severity | None, ...]:
    """`reachability_severity` of every parameter of `recording`, in time linear in their number."""
    intent = _intent(recording)
    targets = targets_only(recording.graph) if not intent.stepped else frozenset()
    return tuple(_severity(fact, intent, index in targets) for index, fact in enumerate(recording.parameters))


@dataclass(frozen=True, slots=True)
class _Intent:
    """What the program does with any of its parameters: an optimizer holds one, has stepped on one, one gets a gradient."""

    held: bool
    stepped: bool
    trained: bool


def _intent(recording: Recording) -> _Intent:
    facts = recording.parameters
    return _Intent(any(fact.optimizers for fact in facts), any(fact.stepped for fact in facts), any(map(live_steps, facts)))


def _severity(fact: ParameterFact, program: _Intent, is_target: bool) -> Severity | None:
    if not fact.requires_grad or live_steps(fact):
        return None
    if fact.written or (program.held and not fact.optimizers):
        return Severity.INFO
    if program.stepped:
        return Severity.ERROR if fact.stepped else Severity.INFO
    if is_target and program.trained:
        return Severity.INFO
    return Severity.ERROR if fact.siblings_trained or not program.trained else Severity.INFO


def graded(case: Case, indices: Iterable[int]) -> tuple[Severity | None, list[int], list[int]]:
    """The worst severity among `indices`, those that have it, and the rest that is meant; parameters that are no finding are left out."""
    known = [(i, severity) for i in sorted(indices) if (severity := case.severities[i]) is not None]
    if not known:
        return None, [], []
    worst = min((severity for _, severity in known), key=lambda severity: severity.rank)
    return worst, [i for i, severity in known if severity is worst], [i for i, severity in known if severity is not worst]


def why_meant(case: Case, indices: Iterable[int]) -> str:
    """Why a reachability finding on `indices`, all of severity info, is taken as meant: a part of a sentence."""
    facts = [case.facts[i] for i in indices]
    them, their, values = ("it", "its", "value is") if len(facts) == 1 else ("them", "their", "values are")
    if all(fact.written for fact in facts):
        return f"{their} {values} written between steps by something else than an optimizer"
    if not any(fact.optimizers for fact in facts):
        if any(other.optimizers for other in case.facts):
            return f"no optimizer holds {them}, while others are held"
        if any(fact.siblings_trained for fact in facts):
            return f"{their} {values} only what a loss has to meet"
        return f"nothing else of {their} model is trained either, while another model is"
    return f"{their} optimizer took no step while another did, or {their} {values} written by something else"
