"""One line a finding, as compilers print them: `file:line:col: CODE severity message`. For editors, grep and CI logs."""

from __future__ import annotations

from gradflow.render.page import visible
from gradflow.render.summary import closing_sentence
from gradflow.report import Finding, Report


def render_concise(report: Report, *, unicode: bool = True) -> str:
    """The findings, worst first, then the closing sentence; ASCII only unless `unicode`."""
    findings = sorted(report.findings, key=lambda finding: finding.severity.rank)
    lines = [f"{_place(finding, report)}: {finding.code} {finding.severity.value} {finding.message}" for finding in findings]
    return "".join(visible(line, unicode=unicode) + "\n" for line in [*lines, closing_sentence(report)])


def _place(finding: Finding, report: Report) -> str:
    cause = finding.cause
    return f"{cause.file}:{cause.line}:{cause.column}" if cause else report.target.file
