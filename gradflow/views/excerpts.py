"""Findings as cards: the headline, the place, and three of the user's lines with the guilty one lit."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.graph.site import Site
from gradflow.report import Finding, Report, Role, Severity
from gradflow.verdict import Verdict
from gradflow.views.drawing import Excerpt
from gradflow.views.flow_state import STOPS, Mark
from gradflow.views.words import clipped, finding_word, one_line, worst_of

LINES = 3
"""So many lines of source are shown: the lit one and its neighbours."""
_WIDEST = 58  # characters of a source line
_TURNS = {"GF201": "the gradient becomes zero here", "GF202": "the gradient stops being finite here"}


def excerpt_at(report: Report, mark: Mark) -> Excerpt:
    """The card of the findings that stand at `mark`."""
    findings = [report.findings[number] for number in mark.findings]
    sites = [site for finding in findings for site in _causes(finding) if (site.file, site.line) == mark.place]
    intended = all(finding.severity is Severity.INFO for finding in findings)
    stop = _TURNS.get(findings[0].code) or ("stop-gradient, as intended" if intended else "gradient stops here")
    labels = ", ".join(mark.labels) if findings[0].code not in STOPS else _note(findings[0])
    headline = f"{stop}: {labels}" if labels else stop
    return Excerpt(
        headline=clipped(one_line(headline), 70),
        place=_place(sites[0]) if sites else "",
        lines=_lines(sites),
        verdict=_verdict(report, findings),
        findings=mark.findings,
        intended=intended,
    )


def excerpt_beside(report: Report, numbers: Sequence[int]) -> Excerpt:
    """The card of findings of one code on one line that stand at no operation of the flow: an assignment, an optimizer."""
    findings = [report.findings[number] for number in numbers]
    sites = _causes(findings[0])
    return Excerpt(
        headline=f"{findings[0].code} {finding_word(findings[0])}" + (f" ×{len(findings)}" if len(findings) > 1 else ""),
        place=_place(sites[0]) if sites else "",
        lines=_lines(sites[:1]),
        verdict=_verdict(report, findings),
        findings=tuple(numbers),
        on_path=False,
    )


def _verdict(report: Report, findings: list[Finding]) -> Verdict:
    """The verdict whose colour the card has: the worst of the parameters that it is about."""
    names = {name for finding in findings for name in finding.parameters}
    found = worst_of(row.verdict for row in report.parameters if row.name in names)
    error = any(finding.severity is Severity.ERROR for finding in findings)
    return Verdict.SEVERED if error and found in (Verdict.LIVE, Verdict.UNKNOWN, Verdict.FROZEN) else found


def _causes(finding: Finding) -> list[Site]:
    sites = [entry.site for entry in finding.sites if entry.role is Role.CAUSE]
    return sites or [entry.site for entry in finding.sites[:1]]


def _note(finding: Finding) -> str:
    """What the finding's cause is, in a few words: `a new leaf`."""
    note = next((entry.note for entry in finding.sites if entry.note and entry.role is Role.CAUSE), "")
    return note.partition(":")[0]


def _place(site: Site) -> str:
    inside = f", in {site.function}" if site.function and site.function != "<module>" else ""
    return clipped(one_line(f"{site.file}:{site.line}{inside}"), 80)


def _lines(sites: list[Site]) -> tuple[tuple[int, str, bool], ...]:
    """The lit lines with one neighbour on either side, without their common indent, cut to where the span lies."""
    if not sites:
        return ()
    lit = sites[0]
    known = dict(lit.context)
    known[lit.line] = known.get(lit.line) or lit.source
    wanted = [line for line in range(lit.line - 1, lit.line + LINES - 1) if line in known]
    while wanted and wanted[-1] != lit.line and not known[wanted[-1]].strip():
        wanted.pop()
    if wanted and wanted[0] != lit.line and not known[wanted[0]].strip():
        wanted.pop(0)
    while wanted and wanted[-1] > lit.line and known[wanted[-1]].lstrip().startswith(("def ", "class ", "async def ", "@")):
        wanted.pop()
    texts = {line: known[line].expandtabs(4).rstrip() for line in wanted}
    indent = min((_indent(text) for text in texts.values() if text.strip()), default=0)
    return tuple((line, _cut_out(texts[line][indent:], lit if line == lit.line else None, indent), line == lit.line) for line in wanted)


def _indent(text: str) -> int:
    text = text.expandtabs(4)
    return len(text) - len(text.lstrip())


def _cut_out(text: str, lit: Site | None, indent: int) -> str:
    """At most `_WIDEST` characters of a line, round the span that is to be seen."""
    if len(text) <= _WIDEST:
        return text
    start = max(lit.column - 1 - indent, 0) if lit is not None else 0
    if start < _WIDEST - 16:
        return clipped(text, _WIDEST)
    left = min(start - 8, len(text) - _WIDEST + 1)
    return "…" + clipped(text[left:], _WIDEST - 1)
