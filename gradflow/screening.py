"""Which findings of a report the user wants to hear of: ignore comments, selected codes, the baseline. Then the outcome. Pure.

The order is that of the question: a comment at the line speaks of this one finding; the selection of codes, for the whole project; the
baseline knows what was there before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from enum import Enum

from gradflow.baseline import Baseline, Known
from gradflow.graph.site import Site
from gradflow.report import Finding, Outcome, Report, Role, Severity
from gradflow.selection import Selection
from gradflow.suppression import Ignore, find_ignores, ignored_codes

MOST_NAMED = 5
"""So many fixed findings are named in notes, each on a line; the rest is counted."""

_COMPLETE = (Outcome.CLEAN, Outcome.FINDINGS)


class FailOn(str, Enum):
    """The severity from which on a finding makes an audit fail."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"

    def fails(self, finding: Finding) -> bool:
        """True if `finding` is at or above this level."""
        return self is not FailOn.NEVER and finding.severity.rank <= Severity(self.value).rank


def split_suppressed(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """(findings to report, those that a comment on the line of a cause asks to ignore), both in the given order."""
    kept: list[Finding] = []
    suppressed: list[Finding] = []
    for finding in findings:
        (suppressed if _is_suppressed(finding) else kept).append(finding)
    return tuple(kept), tuple(suppressed)


def screen(report: Report, selection: Selection, baseline: Baseline | None = None, *, target: str = "") -> Report:
    """The report without findings that are not selected or that the baseline knows, with notes that say what was left out.

    Where nothing was judged, or not to the end, no finding of the baseline is called fixed. `target` is the name in the baseline.
    """
    wanted = [finding for finding in report.findings if selection.keeps(finding.code, finding.cause.file if finding.cause else "")]
    known = tuple(finding for finding in wanted if baseline is not None and baseline.knows(finding))
    notes = list(report.notes)
    if report.suppressed:
        notes.append(f"{_count(report.suppressed)} suppressed by `# gradflow: ignore` in the source")
    if known and baseline is not None:
        notes.append(f"{len(known):,} known {'finding' if len(known) == 1 else 'findings'} in baseline `{baseline.place}`")
    if baseline is not None and report.outcome in _COMPLETE:
        notes += _fixed_notes(baseline.fixed(target, (*report.findings, *report.suppressed)), baseline.place)
    new = tuple(finding for finding in wanted if finding not in known)
    return replace(report, findings=new, known=known, notes=tuple(notes))


def settle(report: Report, fail_on: FailOn) -> Report:
    """The report with the outcome that its findings give it; made with `FailOn.NEVER`, so that it says how the run itself ended."""
    return replace(report, outcome=Outcome.FINDINGS) if any(fail_on.fails(finding) for finding in report.findings) else report


def idle_ignores(report: Report, sources: Mapping[str, str], codes: Collection[str]) -> tuple[str, ...]:
    """A note for each comment in `sources` (text by file, as reported) that names no code, or one of `codes` and suppressed nothing.

    `codes` are those that this audit can find; a comment may be for `lint`. Nothing is said of an audit that is not complete.
    """
    if report.outcome not in _COMPLETE:
        return ()
    used = {(entry.file, line, finding.code) for finding in report.suppressed for entry in _causes(finding) for line in _lines(entry)}
    notes = []
    for file, text in sorted(sources.items()):
        for line, ignore in find_ignores(text).items():
            idle = [code for code in ignore.codes if code in codes and (file, line, code) not in used]
            notes += [f"`# gradflow: ignore[{code}]` suppressed nothing in this run ({file}:{line})" for code in idle]
            notes += _wrong_notes(ignore, f"{file}:{line}")
    return tuple(notes)


def _wrong_notes(ignore: Ignore, place: str) -> list[str]:
    if not ignore.codes and not ignore.wrong:
        return [f"`# gradflow: ignore` has no effect: it names no code, as in `# gradflow: ignore[GF101]` ({place})"]
    return [f"`# gradflow: ignore[{word}]` has no effect: {word!r} is no code, as GF101 ({place})" for word in ignore.wrong]


def _is_suppressed(finding: Finding) -> bool:
    return any(finding.code in ignored_codes(text) for site in _causes(finding) for text in _lines(site).values())


def _causes(finding: Finding) -> list[Site]:
    """The sites to blame, else the one that stands for them."""
    causes = [entry.site for entry in finding.sites if entry.role is Role.CAUSE]
    return causes or ([finding.cause] if finding.cause else [])


def _lines(site: Site) -> dict[int, str]:
    """The lines where a comment speaks of `site`: its first, and the last of a statement over several (known from the context)."""
    known = {**dict(site.context), site.line: site.source}
    return {line: known[line] for line in (site.line, site.end_line) if line in known}


def _fixed_notes(fixed: tuple[Known, ...], place: str) -> list[str]:
    notes = [f"fixed since baseline `{place}`: {entry.code} {entry.message}" for entry in fixed[:MOST_NAMED]]
    if len(fixed) > MOST_NAMED:
        notes.append(f"fixed since baseline `{place}`: {len(fixed) - MOST_NAMED:,} more")
    return notes


def _count(findings: tuple[Finding, ...]) -> str:
    return f"{len(findings):,} {'finding is' if len(findings) == 1 else 'findings are'}"
