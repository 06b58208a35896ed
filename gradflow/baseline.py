"""The findings that a project knows of and lives with for now, by fingerprint, as one JSON text. Text in, text out: no files.

A fingerprint survives moved lines, so a baseline stays true while the file around a finding is edited. One baseline may serve several
targets: each entry names its own, and only the entries of the target at hand can be told to be fixed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from gradflow.errors import UsageError
from gradflow.report import Finding, Severity

SCHEMA = "gradflow-baseline/1"
_FIELDS = ("fingerprint", "code", "target", "file", "message")


@dataclass(frozen=True, slots=True, order=True)
class Known:
    """One finding as the baseline has it. `target` is what was audited (`train.py`); `file` and `message` are for readers."""

    target: str
    file: str
    code: str
    message: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a baseline holds; `place` is its file's name, for sentences."""

    place: str
    entries: tuple[Known, ...] = ()

    def knows(self, finding: Finding) -> bool:
        """Whether `finding` stands in it."""
        return any(entry.fingerprint == finding.fingerprint for entry in self.entries)

    def fixed(self, target: str, findings: Iterable[Finding]) -> tuple[Known, ...]:
        """The entries of `target` that are in none of `findings`."""
        there = {finding.fingerprint for finding in findings}
        return tuple(entry for entry in self.entries if entry.target == target and entry.fingerprint not in there)


def read_baseline(text: str, place: str) -> Baseline:
    """The baseline that `write_baseline` wrote.

    Raises:
        UsageError: the text is none; `place` names it in the sentence.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--baseline: `{place}` is no baseline: expected JSON, found a text that does not parse ({error})") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or not isinstance(document.get("findings"), list):
        raise UsageError(f"--baseline: `{place}` is no baseline: expected schema {SCHEMA}; `--write-baseline {place}` writes one")
    entries = []
    for number, item in enumerate(document["findings"]):
        for name in _FIELDS:
            if not isinstance(item, dict) or not isinstance(item.get(name), str):
                raise UsageError(f"--baseline: `{place}` is no baseline: expected a string at findings[{number}].{name}")
        entries.append(Known(**{name: item[name] for name in _FIELDS}))
    return Baseline(place, tuple(entries))


def write_baseline(target: str, findings: Iterable[Finding], before: Baseline | None = None) -> str:
    """A baseline with the errors and warnings among `findings`, and with the entries that `before` has of other targets."""
    entries = {entry for entry in (before.entries if before else ()) if entry.target != target}
    for finding in findings:
        if finding.severity is not Severity.INFO:
            file = finding.cause.file if finding.cause else ""
            entries.add(Known(target, file, finding.code, finding.message, finding.fingerprint))
    forms = [{name: getattr(entry, name) for name in _FIELDS} for entry in sorted(entries)]
    return json.dumps({"schema": SCHEMA, "findings": forms}, indent=1, ensure_ascii=True) + "\n"
