"""Comments that silence findings: `# gradflow: ignore` for a line, `# gradflow: ignore[GF101, GF103]` for codes, `# gradflow: skip-file`."""

from __future__ import annotations

import re

from gradflow.report import Finding, Severity

COMMENT = re.compile(r"#\s*gradflow:\s*ignore(?:\s*\[([^\]]*)\])?", re.IGNORECASE)
SKIP_FILE = re.compile(r"^\s*#\s*gradflow:\s*skip-file", re.IGNORECASE | re.MULTILINE)


def suppressed(finding: Finding, text: str) -> bool:
    """Whether a comment in `text`, the file of the finding, silences it: on any of its lines, or alone on the line above the cause."""
    if "gradflow:" not in text:
        return False
    if SKIP_FILE.search(text):
        return True
    lines = text.split("\n")
    cause = finding.cause
    numbers = {entry.site.line for entry in finding.sites}
    if cause is not None and cause.line >= 2 and lines[cause.line - 2].lstrip().startswith("#"):
        numbers.add(cause.line - 1)
    return any(0 < number <= len(lines) and _silences(lines[number - 1], finding.code) for number in numbers)


def chosen(finding: Finding, select: tuple[str, ...], ignore: tuple[str, ...]) -> bool:
    """Whether the codes asked for include this one: the longest prefix that fits decides, and `ignore` wins a draw."""
    if finding.code == "GF000":
        return finding.severity is Severity.ERROR
    wanted = max((len(prefix) for prefix in select if finding.code.startswith(prefix)), default=-1) if select else 0
    unwanted = max((len(prefix) for prefix in ignore if finding.code.startswith(prefix)), default=-1)
    return wanted > unwanted


def _silences(line: str, code: str) -> bool:
    match = COMMENT.search(line)
    if match is None:
        return False
    return match.group(1) is None or code in {entry.strip().upper() for entry in match.group(1).split(",")}
