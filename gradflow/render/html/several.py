"""Reports on several targets as one page: a table of all, then a section for each. It needs no script, no other file and no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gradflow.render.html import chips, finding_card, hash_of, style_of
from gradflow.render.markup import clean, xml
from gradflow.render.results import result_of, sentence_on
from gradflow.render.summary import closing_sentence
from gradflow.report import Outcome, Report

_EDGE = {Outcome.CLEAN: "live", Outcome.FINDINGS: "severed"}


def render_pages(reports: Sequence[Report], pictures: Sequence[str], *, looks: str = "", excuse: str = "") -> str:
    """The page, ended by a line feed.

    Args:
        pictures: the SVG of each report, with ids of its own; empty where there is none.
        looks: the CSS rules for the classes that the pictures share.
        excuse: why there are no pictures, where there are none.
    """
    style = style_of(looks)
    policy = f"default-src 'none'; style-src '{hash_of(style)}'; base-uri 'none'; form-action 'none'"
    sections = "".join(_section(number, report, picture) for number, (report, picture) in enumerate(zip(reports, pictures, strict=True)))
    message = f'<p class="none">{xml(excuse)}</p>' if excuse else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f'<title>gradflow: {len(reports):,} targets</title>\n<style>{style}</style>\n</head>\n<body class="many">\n'
        f'<header><h1>gradflow</h1><span class="target">{xml(sentence_on(reports))}</span></header>\n'
        f"<main>{_table(reports)}{message}{sections}</main>\n</body>\n</html>\n"
    )


def _table(reports: Sequence[Report]) -> str:
    rows = []
    for number, report in enumerate(reports):
        result = result_of(report)
        mark = f'<span class="status"><span class="badge v-{_EDGE.get(report.outcome, "unknown")}" aria-hidden="true"> </span>'
        rows.append(
            f'<tr><td class="mono"><a href="#target{number}">{xml(result.name)}</a></td><td>{mark}{result.outcome}</span></td>'
            f'<td class="num">{result.learns}</td><td class="num">{result.errors:,}</td><td class="num">{result.warnings:,}</td></tr>'
        )
    numbers = "".join(f'<th scope="col" class="num">{word}</th>' for word in ("live", "errors", "warnings"))
    return (
        f'<table><thead><tr><th scope="col">target</th><th scope="col">outcome</th>{numbers}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _section(number: int, report: Report, picture: str) -> str:
    verdicts = {row.name: row.verdict for row in report.parameters}
    findings = sorted(report.findings, key=lambda finding: finding.severity.rank)
    cards = "".join(finding_card(finding, None, verdicts) for finding in findings)
    notes = "".join(f'<p class="none">note: {xml(note)}</p>' for note in report.notes)
    crash = f'<pre class="source">{escape(clean(report.crash))}</pre>' if report.crash else ""
    command = f'<p class="none">audited: <code>{xml(report.target.reproduce)}</code></p>' if report.target.reproduce else ""
    sheet = f'<div class="sheet">{picture.strip()}</div>' if picture else ""
    return (
        f'<section id="target{number}"><h2>{xml(result_of(report).name)}</h2><p class="none">{xml(closing_sentence(report))}</p>'
        f'<div class="counts">{chips(report)}</div>{cards}{crash}{sheet}{notes}{command}</section>\n'
    )
