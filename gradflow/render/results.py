"""What a report on one of several targets comes to: a row of a table, and the sentence on all of them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gradflow.render.names import plural
from gradflow.report import Outcome, Report, Severity
from gradflow.verdict import Verdict

_WORDS = {
    Outcome.CLEAN: "clean",
    Outcome.FINDINGS: "with findings",
    Outcome.PARTIAL: "judged in part",
    Outcome.CRASHED: "crashed",
    Outcome.NOTHING: "without anything to audit",
    Outcome.USAGE: "not understood",
    Outcome.TIMEOUT: "out of time",
}


@dataclass(frozen=True, slots=True)
class Result:
    """One row: what was audited (`net.py`, `net.py:Model`), how it ended, `2 of 6` parameters that get a gradient, and its findings."""

    name: str
    outcome: str
    learns: str
    errors: int
    warnings: int


def result_of(report: Report) -> Result:
    """The row of `report`."""
    counts = Counter(finding.severity for finding in report.findings)
    live = sum(row.verdict is Verdict.LIVE for row in report.parameters)
    learns = f"{live:,} of {len(report.parameters):,}" if report.parameters else ""
    return Result(_name(report), report.outcome.value, learns, counts[Severity.ERROR], counts[Severity.WARNING])


def sentence_on(reports: Sequence[Report]) -> str:
    """`3 targets: 1 with findings, 2 clean. Found 1 error, 2 warnings.`"""
    outcomes = Counter(report.outcome for report in reports)
    severities = Counter(finding.severity for report in reports for finding in report.findings)
    ends = ", ".join(f"{outcomes[outcome]:,} {word}" for outcome, word in _WORDS.items() if outcomes[outcome])
    found = ", ".join(plural(severities[one], one.value) for one in (Severity.ERROR, Severity.WARNING) if severities[one])
    return f"{plural(len(reports), 'target')}: {ends}. " + (f"Found {found}." if found else "No error or warning.")


def _name(report: Report) -> str:
    """The word that names the target on a command line: the file, with the attribute where a model in it was audited."""
    file, command = report.target.file, report.target.reproduce
    try:
        words = shlex.split(command)
    except ValueError:  # a document may hold anything
        words = []
    named = next((word for word in words if file and word.startswith(f"{file}:")), "")
    return named or file or command or "target"
