"""What changed from one report to another: which parameters died or came alive, which findings are new or gone, which norms moved."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradflow.report import Finding, ParameterRow, Report
from gradflow.verdict import Verdict

DEAD = frozenset({Verdict.ZERO, Verdict.NONFINITE, Verdict.UNDEFINED, Verdict.SEVERED, Verdict.ESCAPED, Verdict.UNUSED})
"""Verdicts of parameters that were to learn and do not. What is frozen is meant, and what is unknown says nothing."""
FACTOR = 10.0
"""A gradient norm that became so many times as large or as small is told."""


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter that is in both reports, with another verdict."""

    name: str
    old: Verdict
    new: Verdict


@dataclass(frozen=True, slots=True)
class NormChange:
    """One live parameter whose gradient norm moved: L2 over all elements, in the last step seen of each."""

    name: str
    old: float
    new: float


@dataclass(frozen=True, slots=True)
class Difference:
    """All that changed. `died` went from live to dead, `revived` the other way, `changed` is what else became of parameters in both."""

    died: tuple[Change, ...] = ()
    revived: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    added: tuple[ParameterRow, ...] = ()
    removed: tuple[ParameterRow, ...] = ()
    norms: tuple[NormChange, ...] = ()
    new_findings: tuple[Finding, ...] = ()
    fixed_findings: tuple[Finding, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True where nothing changed that would be told."""
        return self == Difference()


def compare(old: Report, new: Report, *, factor: float = FACTOR) -> Difference:
    """What changed from `old` to `new`. Parameters are matched by name, findings by fingerprint, which survives moved lines."""
    before = {row.name: row for row in old.parameters}
    after = {row.name: row for row in new.parameters}
    both = [(before[row.name], row) for row in new.parameters if row.name in before]
    changes = [Change(row.name, was.verdict, row.verdict) for was, row in both if was.verdict is not row.verdict]
    died = tuple(change for change in changes if change.old is Verdict.LIVE and change.new in DEAD)
    revived = tuple(change for change in changes if change.new is Verdict.LIVE and change.old in DEAD)
    known, fresh = ({finding.fingerprint for finding in report.findings} for report in (old, new))
    return Difference(
        died=died,
        revived=revived,
        changed=tuple(change for change in changes if change not in died and change not in revived),
        added=tuple(row for row in new.parameters if row.name not in before),
        removed=tuple(row for row in old.parameters if row.name not in after),
        norms=tuple(change for was, row in both if (change := _norm_change(was, row, factor)) is not None),
        new_findings=tuple(finding for finding in new.findings if finding.fingerprint not in known),
        fixed_findings=tuple(finding for finding in old.findings if finding.fingerprint not in fresh),
    )


def _norm_change(was: ParameterRow, row: ParameterRow, factor: float) -> NormChange | None:
    old, new = was.grad_norm, row.grad_norm
    if was.verdict is not Verdict.LIVE or row.verdict is not Verdict.LIVE or not old or not new:
        return None
    if not (math.isfinite(old) and math.isfinite(new)) or 1 / factor <= new / old <= factor:
        return None
    return NormChange(row.name, old, new)
