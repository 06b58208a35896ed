"""The findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.render.markup import clean
from gradflow.render.summary import closing_sentence
from gradflow.report import Finding, Report, Severity

_COMMAND = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render_github(reports: Sequence[Report], closing: str = "") -> str:
    """One command a finding, worst first, what two reports say alike once; then the closing sentence as a plain line."""
    found = [(finding, report) for report in reports for finding in report.findings]
    found.sort(key=lambda pair: pair[0].severity.rank)
    # A line that begins with `::` would be obeyed.
    closing = " ".join(clean(closing or closing_sentence(reports[0])).split()).lstrip(":")
    return "".join(f"{line}\n" for line in dict.fromkeys(_command(finding, report) for finding, report in found)) + f"{closing}\n"


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
