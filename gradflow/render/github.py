"""The findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull request."""

from __future__ import annotations

from gradflow.render.markup import clean
from gradflow.render.summary import closing_sentence
from gradflow.report import Finding, Report, Severity

_COMMAND = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render_github(report: Report) -> str:
    """One command a finding, worst first, then the closing sentence as a plain line."""
    findings = sorted(report.findings, key=lambda finding: finding.severity.rank)
    # A line that begins with `::` would be obeyed.
    closing = " ".join(clean(closing_sentence(report)).split()).lstrip(":")
    return "".join(f"{_command(finding, report)}\n" for finding in findings) + f"{closing}\n"


def _command(finding: Finding, report: Report) -> str:
    words = {"file": report.target.file, "title": f"{finding.code} {finding.name}"}
    if site := finding.cause:
        words |= {"file": site.file, "line": str(site.line), "col": str(site.column)}
        # GitHub takes columns for a span of one line only.
        if site.end_line == site.line and site.end_column > site.column:
            words |= {"endLine": str(site.end_line), "endColumn": str(site.end_column - 1)}
    properties = ",".join(f"{key}={_property(value)}" for key, value in words.items() if value)
    message = "\n".join([finding.message, *(f"help: {line}" for line in finding.help)])
    return f"::{_COMMAND[finding.severity]} {properties}::{_data(message)}"


def _data(text: str) -> str:
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
