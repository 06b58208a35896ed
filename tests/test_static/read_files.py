"""Helpers of these tests: a text as a file of its own, linted."""

from __future__ import annotations

from pathlib import Path

from gradflow.report import Finding, Severity
from gradflow.static.lint import Lookout, lint_paths


def findings_of(text: str, folder: Path, name: str = "model.py") -> list[Finding]:
    """All findings in `text`."""
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, "utf-8")
    return list(lint_paths([place], Lookout()).findings)


def codes_of(text: str, folder: Path, name: str = "model.py") -> list[str]:
    """The codes of what is found at warning or error."""
    return [finding.code for finding in findings_of(text, folder, name) if finding.severity is not Severity.INFO]
