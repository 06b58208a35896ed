"""One line a finding, as compilers print them: `file:line:col: CODE severity message`. For editors, grep and CI logs."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.render.page import visible
from gradflow.render.results import result_of, sentence_on
from gradflow.render.summary import closing_sentence
from gradflow.report import Finding, Outcome, Report


def render_concise(report: Report, *, unicode: bool = True) -> str:
    """The findings, worst first, then the closing sentence; ASCII only unless `unicode`."""
    return _lines([*_findings(report), closing_sentence(report)], unicode)


def render_concise_many(reports: Sequence[Report], *, unicode: bool = True) -> str:
    """The findings of each report, what several say alike once, a line for each that could not be judged, then the closing sentence."""
    lines: dict[str, None] = {}
    for report in reports:
        lines.update(dict.fromkeys(_findings(report)))
        if report.outcome not in (Outcome.CLEAN, Outcome.FINDINGS):
            lines[f"{result_of(report).name}: {report.outcome.value}: {closing_sentence(report)}"] = None
    return _lines([*lines, sentence_on(reports)], unicode)


def _findings(report: Report) -> list[str]:
    findings = sorted(report.findings, key=lambda finding: finding.severity.rank)
    return [f"{_place(finding, report)}: {finding.code} {finding.severity.value} {finding.message}" for finding in findings]


def _lines(lines: Sequence[str], unicode: bool) -> str:
    return "".join(visible(line, unicode=unicode) + "\n" for line in lines)


def _place(finding: Finding, report: Report) -> str:
    cause = finding.cause
    return f"{cause.file}:{cause.line}:{cause.column}" if cause else report.target.file
