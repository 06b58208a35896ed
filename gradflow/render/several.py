"""Reports on several targets for a terminal: each one's short result, then a table of all of them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from gradflow.render.glyphs import SEVERITY_STYLE
from gradflow.render.page import Page
from gradflow.render.results import Result, result_of, sentence_on
from gradflow.render.summary import closing_sentence
from gradflow.render.text import MOST_INFOS, render_text
from gradflow.report import Outcome, Report, Severity

_HEADS = ("target", "outcome", "live", "errors", "warnings")
_STYLE = {Outcome.CLEAN: "green", Outcome.FINDINGS: "red"}
_NARROWEST_NAME = 10


def render_several(reports: Sequence[Report], *, width: int, color: bool, unicode: bool, verbose: bool = False, links: str = "") -> str:
    """The reports in lines of at most `width` columns, as `render_text` has them; `verbose` shows each report in full."""
    text = ""
    for report in reports:
        page = Page(width, color=color, unicode=unicode, links=links)
        _add_title(page, report)
        if not verbose:
            _add_short(page, report)
        page.blank()
        text += page.render()
        if verbose:
            text += render_text(report, width=width, color=color, unicode=unicode, verbose=True, links=links) + "\n"
    page = Page(width, color=color, unicode=unicode, links=links)
    _add_table(page, reports)
    page.blank()
    page.paragraph((sentence_on(reports), "bold"))
    return text + page.render()


def _add_title(page: Page, report: Report) -> None:
    page.paragraph((page.show(result_of(report).name), "bold"), ": ", (report.outcome.value, _STYLE.get(report.outcome, "yellow")))


def _add_short(page: Page, report: Report) -> None:
    """Errors and warnings on a line each, worst first; the rest is counted. Without any, the closing sentence."""
    findings = sorted((one for one in report.findings if one.severity is not Severity.INFO), key=lambda finding: finding.severity.rank)
    for finding in findings[:MOST_INFOS]:
        place = f" ({finding.cause.file}:{finding.cause.line})" if finding.cause else ""
        head = (f"  {finding.severity.value}[{page.show(finding.code)}]", SEVERITY_STYLE[finding.severity])
        page.paragraph(head, f": {page.show(finding.message)}", (page.show(place), "bright_black"), indent=6)
    if len(findings) > MOST_INFOS:
        page.line(f"  ... and {len(findings) - MOST_INFOS:,} more")
    if not findings or report.outcome not in (Outcome.CLEAN, Outcome.FINDINGS):
        page.paragraph(f"  {page.show(closing_sentence(report))}", indent=6)


def _add_table(page: Page, reports: Sequence[Report]) -> None:
    results = [result_of(report) for report in reports]
    rows = [_HEADS, *(_cells(page, result) for result in results)]
    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(_HEADS))]
    left = page.width - sum(widths[1:]) - 2 * (len(_HEADS) - 1)
    widths[0] = min(widths[0], max(left, _NARROWEST_NAME))
    styles = ["bright_black", *(_STYLE.get(report.outcome, "yellow") for report in reports)]
    for number, (row, style) in enumerate(zip(rows, styles, strict=True)):
        line = Text(_ending(row[0], widths[0], page.glyphs.ellipsis), style="bright_black" if number == 0 else "")
        line.append(" " * (widths[0] - line.cell_len))
        for place in range(1, len(_HEADS)):
            pad = " " * (widths[place] - len(row[place]))
            line.append("  ").append(row[place] + pad if place == 1 else pad + row[place], style if place == 1 or number == 0 else "")
        page.add(line)


def _ending(name: str, width: int, ellipsis: str) -> str:
    """The end of a path in at most `width` cells: what differs from one target to the next."""
    if cell_len(name) <= width:
        return name
    while name and cell_len(ellipsis + name) > width:
        name = name[1:]
    return ellipsis + name


def _cells(page: Page, result: Result) -> tuple[str, ...]:
    return (page.show(result.name), result.outcome, result.learns, f"{result.errors:,}", f"{result.warnings:,}")
