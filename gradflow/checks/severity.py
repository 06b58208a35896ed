"""When a parameter that gets no gradient is a fault: the optimizer declares intent, and intent is respected."""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case
from gradflow.graph.recording import ParameterFact, Recording
from gradflow.report import Severity
from gradflow.verdict import live_steps


def reachability_severity(fact: ParameterFact, recording: Recording) -> Severity | None:
    """How bad it is that no gradient reaches this parameter; None: it is no finding (frozen, or live in some step).

    An error, unless something tells that it is meant (then info): its value is written between watched steps by something else than an
    optimizer (a moving average); no optimizer holds it while others are held; the one that holds it never stepped while another did; or,
    in a program where no optimizer stepped, other roots are trained and nothing of its own root is (a teacher).
    """
    if not fact.requires_grad or live_steps(fact):
        return None
    if fact.written:
        return Severity.INFO
    if not fact.optimizers and any(other.optimizers for other in recording.parameters):
        return Severity.INFO
    if fact.stepped:
        return Severity.ERROR
    if any(other.stepped for other in recording.parameters):
        return Severity.INFO
    anything_trained = any(live_steps(other) for other in recording.parameters)
    return Severity.ERROR if fact.siblings_trained or not anything_trained else Severity.INFO


def graded(case: Case, indices: Iterable[int]) -> tuple[Severity | None, list[int], list[int]]:
    """The worst severity among `indices`, those that have it, and the rest that is meant; parameters that are no finding are left out."""
    known = [(i, severity) for i in sorted(indices) if (severity := case.severities[i]) is not None]
    if not known:
        return None, [], []
    worst = min((severity for _, severity in known), key=lambda severity: severity.rank)
    return worst, [i for i, severity in known if severity is worst], [i for i, severity in known if severity is not worst]


def why_meant(case: Case, indices: Iterable[int]) -> str:
    """Why a reachability finding on `indices`, all of severity info, is taken as meant."""
    facts = [case.facts[i] for i in indices]
    if all(fact.written for fact in facts):
        return "taken as meant: their values are written between steps by something else than an optimizer"
    if not any(fact.optimizers for fact in facts):
        if any(other.optimizers for other in case.facts):
            return "taken as meant: no optimizer holds them, while others are held"
        return "taken as meant: nothing else of their model is trained either, while another model is"
    return "taken as meant: their optimizer took no step while another did, or something else writes their values"
