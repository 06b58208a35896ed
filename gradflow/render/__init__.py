"""Report in, text out: `render(report, format)`. Every renderer is pure: it probes no terminal, reads no file and imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gradflow.errors import UsageError
from gradflow.report import Report


@dataclass(frozen=True, slots=True)
class Display:
    """What the reader's terminal can show, and how much they asked for. The caller finds it out; a renderer only obeys.

    `width` is in columns. `color` allows ANSI escapes. Without `unicode` the text is ASCII. `verbose` folds nothing. `graph` adds the flow
    graph to formats that can hold it. `pages` has the page of each check, by code, for formats that explain it.
    `links` is the URI of the folder to which file names are relative, where the terminal follows links (OSC 8); empty: none are made.
    """

    width: int = 100
    color: bool = False
    unicode: bool = True
    verbose: bool = False
    graph: bool = False
    pages: Mapping[str, str] | None = None
    links: str = ""


def render(report: Report, format: str = "text", display: Display | None = None) -> str:
    """The report in one of FORMATS, ended by a line feed.

    Raises:
        UsageError: where there is no such format.
    """
    if format not in FORMATS:
        raise UsageError(f"expected a format out of {', '.join(FORMATS)}, found {format!r}")
    return FORMATS[format](report, display or Display())


def render_many(reports: Sequence[Report], format: str = "text", display: Display | None = None) -> str:
    """Reports on several targets as one text in one of FORMATS, ended by a line feed: each target's short result, and a table at the end.

    In JSON it is one document with `reports`, in SARIF one run; what two targets say alike stands once for editors and code hosts.

    Raises:
        UsageError: where there is no such format, or no report.
    """
    if format not in FORMATS:
        raise UsageError(f"expected a format out of {', '.join(FORMATS)}, found {format!r}")
    if not reports:
        raise UsageError("expected at least one report, found none")
    return _MANY[format](reports, display or Display())


# Each format is imported when it is asked for: `--format json` need not pay for rich.
def _text(report: Report, display: Display) -> str:
    from gradflow.render.text import render_text

    return render_text(
        report, width=display.width, color=display.color, unicode=display.unicode, verbose=display.verbose, links=display.links
    )


def _concise(report: Report, display: Display) -> str:
    from gradflow.render.concise import render_concise

    return render_concise(report, unicode=display.unicode)


def _json(report: Report, display: Display) -> str:
    from gradflow.render.json import render_json

    return render_json(report, graph=display.graph)


def _sarif(report: Report, display: Display) -> str:
    from gradflow.render.sarif import render_sarif

    return render_sarif([report], display.pages)


def _github(report: Report, display: Display) -> str:
    from gradflow.render.github import render_github

    return render_github([report])


def _markdown(report: Report, display: Display) -> str:
    from gradflow.render.markdown import render_markdown

    return render_markdown(report)


FORMATS: dict[str, Callable[[Report, Display], str]] = {
    "text": _text,
    "concise": _concise,
    "json": _json,
    "sarif": _sarif,
    "github": _github,
    "markdown": _markdown,
}


def _text_many(reports: Sequence[Report], display: Display) -> str:
    from gradflow.render.several import render_several

    return render_several(
        reports, width=display.width, color=display.color, unicode=display.unicode, verbose=display.verbose, links=display.links
    )


def _concise_many(reports: Sequence[Report], display: Display) -> str:
    from gradflow.render.concise import render_concise_many

    return render_concise_many(reports, unicode=display.unicode)


def _json_many(reports: Sequence[Report], display: Display) -> str:
    from gradflow.render.json import render_json_many

    return render_json_many(reports, graph=display.graph)


def _sarif_many(reports: Sequence[Report], display: Display) -> str:
    from gradflow.render.sarif import render_sarif

    return render_sarif(reports, display.pages)


def _github_many(reports: Sequence[Report], display: Display) -> str:
    from gradflow.render.github import render_github
    from gradflow.render.results import sentence_on

    return render_github(reports, sentence_on(reports))


def _markdown_many(reports: Sequence[Report], display: Display) -> str:
    from gradflow.render.markdown import render_markdown_many

    return render_markdown_many(reports)


_MANY: dict[str, Callable[[Sequence[Report], Display], str]] = {
    "text": _text_many,
    "concise": _concise_many,
    "json": _json_many,
    "sarif": _sarif_many,
    "github": _github_many,
    "markdown": _markdown_many,
}
