"""The recordings of several processes of one program as one, with what differs between them said in its notes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradflow.checks.diagnose import diagnose
from gradflow.graph.merge import merge
from gradflow.graph.recording import RankRecording, Recording, StepFact
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict, judge_step

_BEST_FIRST = (Verdict.LIVE, Verdict.NONFINITE, Verdict.ZERO, Verdict.UNDEFINED, None)
"""Which process's fact stands for a step that all of them took: in this order `judge` looks at the steps of one."""
_NAMED = 3


def merge_ranks(ranks: Sequence[RankRecording]) -> Recording:
    """One recording of all the processes, of which there is at least one. How values flowed is told by the one with the worst findings."""
    if len(ranks) == 1:
        return ranks[0].recording
    judged = [diagnose(entry.recording) for entry in ranks]
    wrong = [_wrongness(verdicts, findings) for verdicts, _, findings in judged]
    base = wrong.index(max(wrong))
    others = [entry.recording for number, entry in enumerate(ranks) if number != base]
    merged = merge(ranks[base].recording, others, _better)
    said: dict[str, dict[int, Verdict]] = {}
    for entry, (verdicts, _, _) in zip(ranks, judged, strict=True):
        for fact, verdict in zip(entry.recording.parameters, verdicts, strict=True):
            said.setdefault(fact.name, {})[entry.rank] = verdict
    together = f"{len(ranks)} processes trained, and were judged together: step n of all of them is one step"
    notes = (together, *_differences(said), *merged.notes)
    return replace(merged, notes=notes)


def _wrongness(verdicts: Sequence[Verdict], findings: Sequence[Finding]) -> tuple[int, ...]:
    """Cuts first, since a process that did not come to the cut shows an unused parameter, and knows less."""
    severities = [finding.severity for finding in findings]
    return sum(verdict is Verdict.SEVERED for verdict in verdicts), severities.count(Severity.ERROR), severities.count(Severity.WARNING)


def _better(one: StepFact, other: StepFact) -> StepFact:
    return min(one, other, key=lambda step: _BEST_FIRST.index(judge_step(step)))


def _differences(said: dict[str, dict[int, Verdict]]) -> list[str]:
    """One sentence for each way in which the processes differ over a parameter that several of them have."""
    groups: dict[str, list[str]] = {}
    for name, verdicts in said.items():
        if len(set(verdicts.values())) > 1:
            groups.setdefault(_words(verdicts), []).append(name)
    return [f"the ranks differ: {_list(names)} {'is' if len(names) == 1 else 'are'} {words}" for words, names in groups.items()]


def _words(verdicts: dict[int, Verdict]) -> str:
    ranks: dict[Verdict, list[str]] = {}
    for rank, verdict in sorted(verdicts.items()):
        ranks.setdefault(verdict, []).append(str(rank))
    return " and ".join(
        f"{verdict.value} on rank{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}" for verdict, numbers in ranks.items()
    )


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
