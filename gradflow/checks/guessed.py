"""What made-up inputs may prove: where nobody gave the inputs, that a parameter is not reached or that numbers vanish is a warning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradflow.graph.recording import Recording
from gradflow.report import Finding, Severity

_DEPENDS_ON_INPUTS = {"GF102", "GF107", "GF201", "GF202", "GF203", "GF204"}
"""Codes of what other inputs, or a model of other sizes, might not show. A cut with its line is proved by any run."""

_DEPENDS_ON_GRADIENT = {"custom-function", "reentrant-checkpoint"}
"""Reasons that hold only where what goes in requires no gradient: behind another layer it would, as made-up inputs do not."""


def soften(findings: Sequence[Finding], recording: Recording) -> tuple[Finding, ...]:
    """The findings on a run with made-up inputs; as they are where these are the user's own.

    Of a model that computes a loss of its own from what could not be made up, a cut on the way to its output proves nothing: that loss may
    take another way.
    """
    if not recording.guessed:
        return tuple(findings)
    return tuple(
        _softened(finding, recording.guessed)
        if _depends_on_inputs(finding)
        else _with_another_loss(finding, recording.unasked)
        if finding.code == "GF101" and recording.unasked
        else finding
        for finding in findings
    )


def _depends_on_inputs(finding: Finding) -> bool:
    return finding.code in _DEPENDS_ON_INPUTS or (finding.code == "GF101" and finding.reason in _DEPENDS_ON_GRADIENT)


def _softened(finding: Finding, guessed: str) -> Finding:
    message = finding.message.replace("is never used on the way to the loss", f"is not reached with inputs {guessed}")
    return _as_a_warning(replace(finding, message=message), "gradflow made these inputs up; give others by --input if it should be reached")


def _with_another_loss(finding: Finding, unasked: str) -> Finding:
    return _as_a_warning(finding, f"the loss is made up of the output: the model's own, with `{unasked}`, may take another way")


def _as_a_warning(finding: Finding, note: str) -> Finding:
    severity = Severity.WARNING if finding.severity is Severity.ERROR else finding.severity
    return replace(finding, severity=severity, notes=(*finding.notes, note))
