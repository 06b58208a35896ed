"""From a recording to verdicts and findings: influence, judgement, blame, then every check in order of precedence. Pure."""

from __future__ import annotations

from gradflow.checks.base import Case, all_checks, in_precedence
from gradflow.checks.copies import only_copied
from gradflow.checks.guessed import soften
from gradflow.checks.severity import reachability_severities
from gradflow.graph.blame import Blame, blame, lost_hosts, upstream
from gradflow.graph.flow import FlowGraph, NodeKind
from gradflow.graph.recording import Recording
from gradflow.report import Finding
from gradflow.verdict import Influence, Verdict, judge


def diagnose(recording: Recording) -> tuple[tuple[Verdict, ...], tuple[Influence, ...], tuple[Finding, ...]]:
    """Verdicts and influences, both aligned with `recording.parameters`, and the findings, the worst first."""
    case = build_case(recording)
    findings: list[Finding] = []
    for check in in_precedence(all_checks()):
        said = list(check.find(case))
        findings += said
        case = case.taking(name for finding in said for name in finding.parameters)
    return case.verdicts, case.influences, tuple(sorted(soften(findings, recording), key=_order))


def build_case(recording: Recording) -> Case:
    """All that checks may read, from one recording."""
    influences, blames = _influences(recording)
    verdicts = tuple(judge(fact, influence) for fact, influence in zip(recording.parameters, influences, strict=True))
    return Case(recording, verdicts, influences, blames, reachability_severities(recording))


def _influences(recording: Recording) -> tuple[tuple[Influence, ...], dict[int, Blame]]:
    """By parameter, its part in the loss, and the blames of those that autograd did not reach. A reached one has a part in the loss."""
    facts, graph = recording.parameters, recording.graph
    not_reached = frozenset(
        index for index, fact in enumerate(facts) if fact.requires_grad and not any(step.reached for step in fact.steps)
    )
    found = [Influence.LOSS] * len(facts)
    if not not_reached:
        return tuple(found), {}
    blames = {**blame(graph, not_reached), **_by_own_losses(recording, not_reached)}
    copied = only_copied(recording, blames)
    for index in copied:
        del blames[index]
    traced = any(node.kind is NodeKind.OPERATION for node in graph.nodes)
    leaving = _leaving_torch(graph) if traced else frozenset()
    for index in not_reached - blames.keys():
        hosted = index in leaving and index not in copied
        found[index] = Influence.UNTRACED if not traced else Influence.HOST if hosted else Influence.NONE
    return tuple(found), blames


def _by_own_losses(recording: Recording, parameters: frozenset[int]) -> dict[int, Blame]:
    """The blames on the way to the losses that the parameter's own optimizer steps on, where its value reaches one of them.

    A GAN's generator also has a part in the loss of the discriminator, and is meant to be cut off from that one.
    """
    losses = {optimizer.name: optimizer.losses for optimizer in recording.optimizers}
    groups: dict[tuple[int, ...], set[int]] = {}
    for index in parameters:
        own = tuple(sorted({loss for name in recording.parameters[index].optimizers for loss in losses.get(name, ())}))
        if own and len(own) < len(recording.graph.losses):
            groups.setdefault(own, set()).add(index)
    return {index: found for own, members in groups.items() for index, found in blame(recording.graph, frozenset(members), own).items()}


def _leaving_torch(graph: FlowGraph) -> frozenset[int]:
    above = upstream(graph, lost_hosts(graph))
    return frozenset(node.parameter for number, node in enumerate(graph.nodes) if above[number] and node.parameter >= 0)


def _order(finding: Finding) -> tuple[int, str, str, int, tuple[str, ...]]:
    cause = finding.cause
    return (finding.severity.rank, finding.code, cause.file if cause else "", cause.line if cause else 0, finding.parameters)
