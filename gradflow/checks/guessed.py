"""What made-up inputs may prove: where nobody gave the inputs, that a parameter is not reached or that numbers vanish is a warning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradflow.report import Finding, Severity

_DEPENDS_ON_INPUTS = {"GF102", "GF107", "GF201", "GF202", "GF203", "GF204"}
"""Codes of what other inputs, or a model of other sizes, might not show. A cut with its line is proved by any run."""

_DEPENDS_ON_GRADIENT = {"custom-function", "reentrant-checkpoint"}
"""Reasons that hold only where what goes in requires no gradient: behind another layer it would, as made-up inputs do not."""


def soften(findings: Sequence[Finding], guessed: str) -> tuple[Finding, ...]:
    """The findings on a run with the made-up inputs `guessed`; as they are where that is empty."""
    if not guessed:
        return tuple(findings)
    return tuple(_softened(finding, guessed) if _depends_on_inputs(finding) else finding for finding in findings)


def _depends_on_inputs(finding: Finding) -> bool:
    return finding.code in _DEPENDS_ON_INPUTS or (finding.code == "GF101" and finding.reason in _DEPENDS_ON_GRADIENT)


def _softened(finding: Finding, guessed: str) -> Finding:
    severity = Severity.WARNING if finding.severity is Severity.ERROR else finding.severity
    message = finding.message.replace("is never used on the way to the loss", f"is not reached with inputs {guessed}")
    note = "gradflow made these inputs up; give others by --input if it should be reached"
    return replace(finding, severity=severity, message=message, notes=(*finding.notes, note))
