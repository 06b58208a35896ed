"""The report in GitHub's markdown, for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gradflow.graph.site import Site
from gradflow.render.markup import clean, xml
from gradflow.render.names import fold_names, plural
from gradflow.render.results import result_of, sentence_on
from gradflow.render.summary import closing_sentence, count_verdicts, share
from gradflow.report import Finding, Outcome, Report, Role, Severity

_SIGN = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.INFO: "ℹ️"}
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
_NEAR = 2
"""Lines shown on either side of the one to blame."""


def render_markdown(report: Report) -> str:
    """The findings with their lines, worst first, then a table of counts; ended by a line feed."""
    return "\n".join([f"## gradflow\n\n{plain_text(closing_sentence(report))}\n", *_body(report)])


def render_markdown_many(reports: Sequence[Report]) -> str:
    """A table with a row for each report, then the body of each that is not clean, folded; ended by a line feed."""
    results = [result_of(report) for report in reports]
    lines = [f"## gradflow\n\n{plain_text(sentence_on(reports))}\n", "| target | outcome | live | errors | warnings |"]
    lines.append("| --- | --- | ---: | ---: | ---: |")
    for result in results:
        cells = (code_span(result.name).replace("|", "\\|"), result.outcome, result.learns, f"{result.errors:,}", f"{result.warnings:,}")
        lines.append("| " + " | ".join(cells) + " |")
    parts = ["\n".join(lines) + "\n"]
    for report, result in zip(reports, results, strict=True):
        if report.findings or report.outcome is not Outcome.CLEAN:
            head = f"<b>{xml(result.name)}</b>: {xml(closing_sentence(report))}"
            parts.append("\n".join([f"<details><summary>{head}</summary>\n", *_body(report), "</details>\n"]))
    return "\n".join(parts)


def _body(report: Report) -> list[str]:
    parts = [_finding(finding) for finding in sorted(report.findings, key=lambda finding: finding.severity.rank)]
    if report.crash:
        parts.append(f"<details><summary>your program raised</summary>\n\n{_fenced(report.crash, '')}\n</details>\n")
    if report.parameters:
        parts.append(_counts(report))
    if report.target.reproduce:
        parts.append(f"audited: {code_span(report.target.reproduce)}\n")
    return parts


def _finding(finding: Finding) -> str:
    lines = [f"### {_SIGN[finding.severity]} {finding.code} {plain_text(finding.message)}\n"]
    causes = [entry.site for entry in finding.sites if entry.role is Role.CAUSE] or [entry.site for entry in finding.sites[:1]]
    for site in causes[:1]:
        inside = f", in {code_span(site.function)}" if site.function and site.function != "<module>" else ""
        lines.append(f"{code_span(f'{site.file}:{site.line}')}{inside}\n")
        if code := _excerpt(site):
            lines.append(_fenced(code, "python"))
    if finding.parameters:
        lines.append(f"Parameters: {code_span(fold_names(finding.parameters))}\n")
    lines += [f"- {plain_text(note)}" for note in finding.notes]
    lines += [f"- **help**: {plain_text(advice)}" for advice in finding.help]
    return "\n".join(lines) + "\n"


def _excerpt(site: Site) -> str:
    known = dict(site.context)
    if site.source:
        known[site.line] = site.source
    shown = [line for line in range(site.line - _NEAR, site.line + _NEAR + 1) if line in known]
    while shown and shown[-1] > site.line and not known[shown[-1]].strip():
        shown.pop()
    width = max((len(str(line)) for line in shown), default=0)
    return "\n".join(f"{'>' if line == site.line else ' '} {line:>{width}} | {known[line]}".rstrip() for line in shown)


def _counts(report: Report) -> str:
    elements = sum(row.elements for row in report.parameters)
    lines = ["| verdict | parameters | elements | share |", "| --- | ---: | ---: | ---: |"]
    for verdict, (count, part) in count_verdicts(report.parameters).items():
        lines.append(f"| {verdict.glyph} {verdict.value} | {count:,} | {part:,} | {share(part, elements)} |")
    return "\n".join([f"{plural(len(report.parameters), 'parameter')}, {plural(elements, 'element')}:\n", *lines]) + "\n"


def plain_text(text: str) -> str:
    """A sentence of ours: what stands between its backticks is code, all the rest is escaped."""
    pieces = " ".join(clean(text).split()).split("`")
    if len(pieces) % 2 == 0:  # an odd backtick: it is one of the user's, and nothing can be told apart
        return _escaped("`".join(pieces))
    return "".join(code_span(piece) if place % 2 else _escaped(piece) for place, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    # A backslash does not keep GitHub from taking `@name` as a mention; a comment between the two does.
    return _SPECIAL.sub(r"\\\1", text).replace("@", "@<!-- -->")


def code_span(text: str) -> str:
    """`text` as code on one line, in as many backticks as it takes."""
    text = " ".join(clean(text).split())
    if not text:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    edge = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{edge}{text}{edge}{fence}"


def _fenced(text: str, language: str) -> str:
    text = clean(text).replace("\r", "")
    fence = "`" * max(max((len(run) for run in re.findall("`+", text)), default=0) + 1, 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"
