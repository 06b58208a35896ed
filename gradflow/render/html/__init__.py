"""The report as one page, for a browser: findings, pictures, modules, parameters. It needs no other file and no network.

Pure: the pictures are handed in as finished SVG. Every string of the user reaches the page escaped, either as text or inside a JSON block
that is no script; what runs and what styles is ours alone, and its hashes stand in the page's own policy.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from gradflow.render.html.data import page_data
from gradflow.render.markup import clean, xml
from gradflow.render.names import plural
from gradflow.render.palette import DARK, LIGHT, Palette
from gradflow.render.summary import closing_sentence, count_verdicts
from gradflow.render.svg import variable_names
from gradflow.report import Finding, Report, Role, Severity
from gradflow.verdict import WORST_FIRST, Verdict
from gradflow.views.drawing import Drawing
from gradflow.views.subject import Subject

_NEAR = 3
"""Lines of source shown on either side of the one to blame."""


@dataclass(frozen=True, slots=True)
class PageView:
    """One picture of the page: what its tab says, the module that it opens (empty: none), the drawing, and its SVG with ids `vN-boxM`."""

    label: str
    module: str
    drawing: Drawing
    svg: str


def render_html(report: Report, subject: Subject, views: Sequence[PageView] = (), *, looks: str = "", excuse: str = "") -> str:
    """The page, ended by a line feed.

    Args:
        subject: of `report`, as the views have it.
        looks: the CSS rules for the classes that the SVGs of `views` share.
        excuse: why there is no picture, where there is none.
    """
    style = style_of(looks)
    script = _file("page.js")
    policy = f"default-src 'none'; style-src '{hash_of(style)}'; script-src '{hash_of(script)}'; base-uri 'none'; form-action 'none'"
    title = xml(f"gradflow: {_name(report)}")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#rows">to the parameters</a>\n{_header(report)}{_aside(report)}{_main(views, excuse)}'
        f'<script type="application/json" id="data">{_json(subject, views)}</script>\n<script>{script}</script>\n</body>\n</html>\n'
    )


def style_of(looks: str) -> str:
    """The CSS of the page: both themes, our rules, and those for the pictures."""
    light, dark = _variables(LIGHT), _variables(DARK)
    themes = (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}:root[data-theme=light]{{color-scheme:light}}"
        # On paper the colours are those for a white page, whatever the system's theme: the rule has to outweigh those above.
        f"@media print{{:root:root:root{{color-scheme:light;{light}}}}}"
    )
    return themes + _file("page.css") + looks


def _variables(palette: Palette) -> str:
    return ";".join(f"--{name}:{color}" for color, name in variable_names(palette).items())


def _file(name: str) -> str:
    return (resources.files("gradflow.render.html") / name).read_text("utf-8")


def hash_of(text: str) -> str:
    """The name by which the page's policy allows `text`."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(subject: Subject, views: Sequence[PageView]) -> str:
    """The data of the page. In JSON `<` stands only in strings, where it can be written otherwise, so that nothing ends the element."""
    data = page_data(subject, [(view.label, view.module, view.drawing) for view in views])
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")


def _name(report: Report) -> str:
    return report.target.file or report.target.reproduce or "report"


def _header(report: Report) -> str:
    words = f"{_name(report)} · {plural(len(report.parameters), 'parameter')}"
    return (
        f'<header><h1>gradflow</h1><span class="target">{xml(words)}</span>{chips(report)}'
        '<button type="button" id="theme" class="end" aria-label="switch between light and dark">◐ theme</button></header>\n'
    )


def chips(report: Report) -> str:
    """How many parameters have which verdict, the worst first."""
    counts = count_verdicts(report.parameters)
    return "".join(
        f'<span class="count">{badge(verdict)} <b>{counts[verdict][0]:,}</b> {verdict.value}</span>'
        for verdict in WORST_FIRST
        if verdict in counts
    )


def badge(verdict: Verdict) -> str:
    """The sign of a verdict in its colour."""
    return f'<span class="badge v-{verdict.value}" aria-hidden="true">{verdict.glyph}</span>'


def _aside(report: Report) -> str:
    order = sorted(range(len(report.findings)), key=lambda number: report.findings[number].severity.rank)
    verdicts = {row.name: row.verdict for row in report.parameters}
    findings = "".join(finding_card(report.findings[number], number, verdicts) for number in order)
    notes = "".join(f'<p class="none">note: {xml(note)}</p>' for note in report.notes)
    closing = f'<p class="none">{xml(closing_sentence(report))}</p>'
    crash = f'<h2>Your program raised</h2><pre class="source">{escape(clean(report.crash))}</pre>' if report.crash else ""
    return (
        f'<aside aria-label="findings and modules"><h2>Findings</h2>{findings}{closing}{notes}{crash}'
        '<h2>Modules</h2><ul class="tree" id="tree" role="tree" aria-label="modules"></ul></aside>\n'
    )


def finding_card(finding: Finding, number: int | None, verdicts: dict[str, Verdict]) -> str:
    """A finding that opens by a click; without a number it is open, and needs no script."""
    cause = finding.cause
    where = f"{cause.file}:{cause.line}" + (f", in {cause.function}" if cause.function not in ("", "<module>") else "") if cause else ""
    edge = _edge(finding, verdicts)
    code = '<span class="mono">' + xml(finding.code) + "</span>"
    more = _source(finding) + "".join(f"<p>{_marked(note)}</p>" for note in finding.notes)
    more += "".join(f'<p class="fix">{_marked(advice)}</p>' for advice in finding.help)
    head = (
        f'<span class="what">{_marked(finding.message)}</span><span class="where">{code} {finding.severity.value} '
        f'<span class="mono">{xml(where)}</span></span>'
    )
    if number is None:
        return f'<article class="finding open e-{edge}">{head}<div class="more">{more}</div></article>'
    button = f'<button type="button" aria-expanded="false">{head}</button>'
    return f'<article class="finding e-{edge}" data-finding="{number}">{button}<div class="more">{more}</div></article>'


def _edge(finding: Finding, verdicts: dict[str, Verdict]) -> str:
    if finding.severity is Severity.ERROR:
        return Verdict.SEVERED.value
    found = [verdicts[name] for name in finding.parameters if name in verdicts]
    return found[0].value if found else Verdict.UNKNOWN.value


def _marked(text: str) -> str:
    """A sentence of ours, with what stands between backticks as code."""
    pieces = xml(text).split("`")
    if len(pieces) % 2 == 0:
        return "`".join(pieces)
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))


def _source(finding: Finding) -> str:
    """The lines around the cause, the lines of all causes lit."""
    cause = finding.cause
    if cause is None:
        return ""
    lit = {entry.site.line for entry in finding.sites if entry.role is Role.CAUSE and entry.site.file == cause.file} or {cause.line}
    known = dict(cause.context)
    if cause.source:
        known[cause.line] = cause.source
    lines = [line for line in range(cause.line - _NEAR, cause.line + _NEAR + 1) if line in known]
    while lines and lines[-1] > cause.line and not known[lines[-1]].strip():
        lines.pop()
    lines = lines[: next((place for place, line in enumerate(lines) if line > cause.line and _begins_anew(known[line])), len(lines))]
    indent = min((len(known[line]) - len(known[line].lstrip()) for line in lines if known[line].strip()), default=0)
    spans = "".join(_line(line, known[line][indent:], line in lit) for line in lines)
    return f'<pre class="source">{spans}</pre>' if spans else ""


def _begins_anew(text: str) -> bool:
    return text.lstrip().startswith(("def ", "class ", "async def ", "@"))


def _line(number: int, text: str, lit: bool) -> str:
    look = ' class="lit"' if lit else ""
    return f"<span{look}><i>{number}</i>{escape(clean(text.rstrip())) or ' '}</span>"


def _main(views: Sequence[PageView], excuse: str) -> str:
    sheets = "".join(f'<div class="view{" on" if number == 0 else ""}">{view.svg.strip()}</div>' for number, view in enumerate(views))
    message = f'<p class="message">{xml(excuse)}</p>' if excuse else ""
    return (
        '<main><section class="stage" id="stage" tabindex="0" aria-label="diagram: arrow keys move it, plus and minus zoom, 0 fits">'
        '<div class="bar-top"><div class="tabs" id="tabs"></div><div class="zoom">'
        '<button type="button" id="in" aria-label="zoom in">+</button><button type="button" id="out" aria-label="zoom out">−</button>'
        '<button type="button" id="fit">fit</button></div></div>'
        f'{message}<div class="sheet" id="sheet">{sheets}</div>'
        '<div class="legend" id="legend"><span>gradient flows back</span><span class="dead">values only, no gradient</span>'
        '<span class="value">values that need none</span><span class="hint">click a module to open it</span></div></section>\n'
        '<section class="table" aria-label="parameters"><div class="filters">'
        '<input type="search" id="filter" placeholder="filter parameters (regex)" aria-label="filter parameters by a regular expression">'
        '<button type="button" id="only" class="chip" hidden></button><span id="verdicts" class="filters"></span>'
        '<span class="total" id="total" role="status"></span></div><div class="rows" id="rows" tabindex="0"><table>'
        '<thead><tr id="head"></tr></thead><tbody id="body"></tbody></table></div></section></main>\n'
    )
