"""Parameters that a router did not choose yet: their numbered siblings are chosen in some steps and not in others."""

from __future__ import annotations

from gradflow.checks.base import Case
from gradflow.checks.naming import tokens
from gradflow.graph.recording import ParameterFact
from gradflow.verdict import Verdict, live_steps


def unrouted(case: Case) -> frozenset[int]:
    """Indices of unused parameters with a sibling of the same shape (`experts.0.weight`) that is live in some steps only.

    A sibling that is live in all steps tells nothing: a loop that leaves the last layer out looks the same.
    """
    facts = case.facts
    chosen = {_family(fact) for fact in facts if _is_conditional(fact)}
    return frozenset(i for i, verdict in enumerate(case.verdicts) if verdict is Verdict.UNUSED and _family(facts[i]) in chosen)


def _is_conditional(fact: ParameterFact) -> bool:
    return any(part.isdigit() for part in tokens(fact.name)) and 0 < live_steps(fact) < len(fact.steps)


def _family(fact: ParameterFact) -> tuple[str, tuple[str, ...], tuple[int, ...]]:
    return (fact.root, tuple("*" if part.isdigit() else part for part in tokens(fact.name)), fact.shape)
