"""What stopped to learn in the middle of a training: the findings of the steps recorded after it, and when it was. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gradflow.checks.base import count
from gradflow.checks.diagnose import diagnose
from gradflow.checks.naming import spoken
from gradflow.graph.recording import Turn, Turned
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict

_CODES = {Verdict.ZERO: ("GF201", "zero-gradient", "zero"), Verdict.NONFINITE: ("GF202", "nonfinite-gradient", "NaN or infinite")}
_EXPLAINED = ("GF101", "GF106", "GF107", "GF201", "GF202", "GF303")


def with_turns(found: Iterable[Finding], turns: Iterable[Turn]) -> tuple[Finding, ...]:
    """`found` and what the turns say, the worst first. Who has turned is no longer said to be live now and then (GF903)."""
    later = {finding.fingerprint: finding for turn in turns for finding in findings_of_turn(turn)}
    said = {name for finding in later.values() for name in finding.parameters}
    kept = {finding.fingerprint: finding for finding in found if finding.code != "GF903" or not said.issuperset(finding.parameters)}
    return tuple(sorted((later | kept).values(), key=lambda finding: (finding.severity.rank, finding.code)))


def findings_of_turn(turn: Turn) -> tuple[Finding, ...]:
    """Findings on the parameters that turned, each with a note that says between which watched steps; the worst first."""
    verdicts, _, found = diagnose(turn.recording)
    turned = {entry.name: entry for entry in turn.turned}
    kept = [
        replace(finding, notes=(_when(turned[name] for name in finding.parameters if name in turned), *finding.notes))
        for finding in found
        if finding.code in _EXPLAINED and turned.keys() & set(finding.parameters)
    ]
    said = {name for finding in kept for name in finding.parameters}
    return (*kept, *_unexplained(turn, verdicts, {name: entry for name, entry in turned.items() if name not in said}))


def _unexplained(turn: Turn, verdicts: tuple[Verdict, ...], turned: dict[str, Turned]) -> Iterable[Finding]:
    """What is there and has no origin that was seen: where the recorder could not be put in again, or where no check names a line."""
    facts = turn.recording.parameters
    for verdict, (code, name, word) in _CODES.items():
        members = [i for i, fact in enumerate(facts) if fact.name in turned and verdicts[i] is verdict]
        if members:
            names = tuple(facts[i].name for i in members)
            yield Finding(
                code,
                name,
                Severity.ERROR,
                f"the gradient of {spoken(facts, members)} has become {word}",
                names,
                reason="turned",
                notes=(_when(turned[name] for name in names),),
            )


def _when(turned: Iterable[Turned]) -> str:
    entries = list(turned)
    live, lost = max(entry.live for entry in entries), min(entry.lost for entry in entries)
    which = "it" if len(entries) == 1 else f"all {count(len(entries))}"
    return f"a good gradient came to {which} at step {live}, and none at step {lost} nor after it: it went between these two watched steps"
