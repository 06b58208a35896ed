"""What a run has shown and what the source says, in one report: `gradflow audit --static`.

Both have the same codes. Where both know a cause, the finding of the run stays and carries the reason from the source; what only the source
says is added, as evidence of that kind, unless the run has shown the opposite.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from gradflow.linting import report_on
from gradflow.report import Evidence, Finding, Report, Role
from gradflow.static.lint import Lookout, lint_paths
from gradflow.verdict import Verdict

LEARNS = (Verdict.LIVE, Verdict.ZERO, Verdict.NONFINITE)
"""Verdicts that a gradient came for, whatever its value."""
OF_PARAMETERS = ("GF101", "GF102", "GF103", "GF106")
"""Codes that a parameter with a gradient contradicts."""


def with_static(report: Report) -> Report:
    """The report, with what `lint` says of the file that was audited and of the files in which its findings stand."""
    paths = _files(report)
    if not paths:
        return replace(report, notes=(*report.notes, "the source was not read: the audited file is not there"))
    read = report_on(lint_paths(paths, Lookout(jobs=1)), paths)
    findings = list(report.findings)
    more: list[Finding] = []
    contradicted = 0
    for static in read.findings:
        same = [place for place, finding in enumerate(findings) if _one_cause(finding, static)]
        for place in same:
            findings[place] = _with_reason(findings[place], static)
        if same:
            continue
        if static.code in OF_PARAMETERS and _learns(report, static):
            contradicted += 1
        else:
            more.append(static)
    notes = [*report.notes, f"the source was read too: {_count(read.findings)} in {len(paths):,} {'file' if len(paths) == 1 else 'files'}"]
    if contradicted:
        notes.append(f"{contradicted:,} of them {'is' if contradicted == 1 else 'are'} left out: the run brought a gradient there")
    suppressed = (*report.suppressed, *(finding for finding in read.suppressed if finding not in report.suppressed))
    return replace(report, findings=(*findings, *more), suppressed=suppressed, notes=tuple(notes))


def _files(report: Report) -> list[str]:
    """The audited file, and those of the causes that the run named, as far as they are Python files that are there."""
    named = [report.target.file.partition("::")[0], *(entry.site.file for finding in report.findings for entry in finding.sites)]
    named += [re.sub(r"(\.py):.*$", r"\1", name) for name in named[:1]]
    return list(dict.fromkeys(name for name in named if name.endswith((".py", ".ipynb")) and Path(name).is_file()))


def _one_cause(run: Finding, static: Finding) -> bool:
    """Whether a finding of the run and one of the source speak of the same place with the same code."""
    if run.evidence is not Evidence.RUN or run.code != static.code:
        return False
    blamed = {(entry.site.file, entry.site.line) for entry in run.sites if entry.role is Role.CAUSE}
    if any(entry.role is Role.CAUSE and (entry.site.file, entry.site.line) in blamed for entry in static.sites):
        return True
    same_file = {entry.site.file for entry in run.sites} & {entry.site.file for entry in static.sites}
    return bool(same_file) and any(_names(path, name) for path in static.parameters for name in run.parameters)


def _with_reason(run: Finding, static: Finding) -> Finding:
    return replace(run, notes=(*run.notes, f"the source says so too: {static.message}"))


def _learns(report: Report, static: Finding) -> bool:
    """Whether a gradient came to every parameter of the run that the finding may speak of, and there is one."""
    rows = [row for row in report.parameters if any(_names(path, row.name) for path in static.parameters)]
    return bool(rows) and all(row.verdict in LEARNS for row in rows)


def _names(path: str, name: str) -> bool:
    """Whether a parameter's full name is, or lies below, a path relative to a class.

    >>> _names("layers.*", "net.layers.0.weight"), _names("fc", "net.fc2.weight")
    (True, False)
    """
    pattern = re.escape(path).replace(r"\*", r"[^.]+")
    return re.search(rf"(?:^|\.){pattern}(?:\.|\[|$)", name) is not None


def _count(findings: Sequence[Finding] | Iterable[Finding]) -> str:
    number = len(tuple(findings))
    return f"{number:,} {'finding' if number == 1 else 'findings'}"
