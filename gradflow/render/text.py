"""The report for a terminal, in the manner of rustc: findings with code frames, then where the model stands as a whole."""

from __future__ import annotations

from rich.text import Text

from gradflow.render.focus import add_focus
from gradflow.render.frame import add_frames
from gradflow.render.glyphs import SEVERITY_STYLE, VERDICT_STYLE
from gradflow.render.names import fold_names, plural
from gradflow.render.page import Page
from gradflow.render.strip import flow_strip
from gradflow.render.summary import closing_sentence, count_verdicts, share
from gradflow.render.tree import add_tree, module_count
from gradflow.report import Finding, Outcome, Report, Severity
from gradflow.verdict import Verdict

MANY_MODULES = 8
"""A model with more modules than this is shown as a tree."""
MOST_INFOS = 10


def render_text(report: Report, *, width: int, color: bool, unicode: bool, verbose: bool = False, links: str = "") -> str:
    """The report in lines of at most `width` columns (never less than 20), ended by a line feed.

    With `color` it holds ANSI escapes, of the sixteen named colours only; without `unicode` it is ASCII. `verbose` folds nothing: every
    name, every line of the tree, and findings of severity info in full. `links` is the URI of the folder to which file names are relative;
    with it and `color` they are links.
    """
    page = Page(width, color=color, unicode=unicode, links=links)
    _add_findings(page, report, verbose)
    _add_crash(page, report)
    _add_model(page, report, verbose)
    add_focus(page, report, verbose)
    _add_notes(page, report, verbose)
    _add_counts(page, report)
    _add_target(page, report)
    page.paragraph((page.show(closing_sentence(report)), "bold"))
    return page.render()


def _add_findings(page: Page, report: Report, verbose: bool) -> None:
    verdicts = {row.name: row.verdict for row in report.parameters}
    in_full = [finding for finding in report.findings if verbose or finding.severity is not Severity.INFO]
    for finding in sorted(in_full, key=lambda finding: finding.severity.rank):
        _add_finding(page, finding, verdicts, verbose)
        page.blank()
    brief = [finding for finding in report.findings if not verbose and finding.severity is Severity.INFO]
    # One beyond the limit is shown: "... and 1 more" would take its line.
    shown = brief if len(brief) <= MOST_INFOS + 1 else brief[:MOST_INFOS]
    for finding in shown:
        place = f" ({finding.cause.file}:{finding.cause.line})" if finding.cause else ""
        page.paragraph(*_headline(page, finding), (page.show(place), "bright_black"), indent=4)
    if len(shown) < len(brief):
        page.line(f"... and {len(brief) - len(shown):,} more of severity info")
    page.blank()


def _headline(page: Page, finding: Finding) -> tuple[tuple[str, str], tuple[str, str]]:
    head = f"{finding.severity.value}[{page.show(finding.code)}]"
    return (head, SEVERITY_STYLE[finding.severity]), (
        f": {page.show(finding.message)}",
        "" if finding.severity is Severity.INFO else "bold",
    )


def _add_finding(page: Page, finding: Finding, verdicts: dict[str, Verdict], verbose: bool) -> None:
    page.paragraph(*_headline(page, finding), indent=4)
    gutter = add_frames(page, finding)
    sign = (" " * gutter + " = ", "blue")
    for word, names in _by_verdict(finding, verdicts):
        folded = fold_names(names, limit=None) if verbose else fold_names(names, known=verdicts)
        page.paragraph(sign, (f"{word}: ", "bold"), page.show(folded), indent=gutter + 5)
    for note in finding.notes:
        page.paragraph(sign, ("note: ", "bold"), page.show(note), indent=gutter + 5)
    for advice in finding.help:
        page.paragraph(("help", "bold green"), f": {page.show(advice)}", indent=4)


def _by_verdict(finding: Finding, verdicts: dict[str, Verdict]) -> list[tuple[str, list[str]]]:
    """The finding's parameters under the word for their verdict, in the order in which the verdicts first occur."""
    groups: dict[str, list[str]] = {}
    for name in finding.parameters:
        word = verdicts[name].value if name in verdicts else "parameters"
        groups.setdefault(word, []).append(name)
    return list(groups.items())


def _add_crash(page: Page, report: Report) -> None:
    if not report.crash:
        return
    page.line(("your program raised:", "bold red"))
    for line in report.crash.rstrip("\n").split("\n"):
        page.paragraph("  " + page.show(line.rstrip("\r")), indent=6)
    page.blank()


def _add_model(page: Page, report: Report, verbose: bool) -> None:
    strip = flow_strip(report, page.glyphs, page.show)
    if strip is not None and strip.cell_len + 2 <= page.width:
        page.add(Text("  ").append_text(strip))
        page.blank()
    if report.parameters and (verbose or module_count(report.parameters) > MANY_MODULES):
        from gradflow.views.subject import classes_of  # a tenth of the time that linting one small file takes

        add_tree(page, report.parameters, classes_of(report), full=verbose)
        page.blank()


def _add_notes(page: Page, report: Report, verbose: bool) -> None:
    for note in report.notes:
        page.paragraph(("note", "bold"), f": {page.show(note)}", indent=4)
    reasons: dict[str, list[str]] = {}
    for row in report.parameters:
        if row.verdict is Verdict.UNKNOWN and row.because:
            reasons.setdefault(row.because, []).append(row.name)
    for reason, names in reasons.items():
        folded = fold_names(names, limit=None) if verbose else fold_names(names)
        page.paragraph(("unknown", f"bold {VERDICT_STYLE[Verdict.UNKNOWN]}"), page.show(f": {folded}: {reason}"), indent=4)
    page.blank()


def _add_counts(page: Page, report: Report) -> None:
    if not report.parameters:
        return
    elements = sum(row.elements for row in report.parameters)
    words = [(f"{plural(len(report.parameters), 'parameter')}, {plural(elements, 'element')}:", "")]
    for verdict, (count, part) in count_verdicts(report.parameters).items():
        words.append((f"{page.glyphs.verdict[verdict]} {count:,} {verdict.value} ({share(part, elements)})", VERDICT_STYLE[verdict]))
    lines = [Text()]
    for word, style in words:
        if lines[-1].plain and lines[-1].cell_len + 3 + len(word) > page.width:
            lines.append(Text("  "))
        elif lines[-1].plain:
            lines[-1].append("  ")
        lines[-1].append(word, style)
    for line in lines:
        page.add(line)


def _add_target(page: Page, report: Report) -> None:
    """What was audited, as a command to paste, and how much of it was seen."""
    command = report.target.reproduce or report.target.file
    if not command or report.outcome is Outcome.USAGE:
        return
    steps = [plural(report.backward_passes, "backward pass", "backward passes"), plural(report.optimizer_steps, "optimizer step")]
    seen = f" ({', '.join([report.target.kind.value, *steps])})" if report.backward_passes else f" ({report.target.kind.value})"
    page.paragraph((f"audited: {page.show(command)}{seen}", "bright_black"), indent=4)
