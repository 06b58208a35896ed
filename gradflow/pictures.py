"""Report in, picture out, in the format of a file's suffix: the view, the drawing, and the engine that draws it, in this order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from html import escape

from gradflow.draw import DrawingFailed, draw, draw_all
from gradflow.errors import UsageError
from gradflow.render import render
from gradflow.render.dot import to_dot
from gradflow.render.html import PageView, render_html
from gradflow.render.html.several import render_pages
from gradflow.render.palette import LIGHT, Theme
from gradflow.render.svg import Styles, finish_svg
from gradflow.report import Report
from gradflow.views import draw_view
from gradflow.views.drawing import Drawing
from gradflow.views.heatmap import draw_heatmap
from gradflow.views.modules import ModuleViews

FORMATS = ("svg", "png", "pdf", "dot", "html")
MOST_VIEWS = 24
"""Pictures in a page; each costs about 10 kB and 20 ms."""
_NOTEBOOK_OUTPUTS = itertools.count(1)
MOST_SVG = 150_000
"""Characters of SVG in a page. Modules beyond this are not drawn on their own."""


def picture(report: Report, format: str, *, view: str = "modules", theme: Theme = Theme.LIGHT, depth: int | None = None) -> bytes:
    """One view of the report in one of FORMATS; the page, `html`, has them all.

    Raises:
        UsageError: where there is no such format or view.
        DrawingFailed: where no engine draws it. DOT and the page need none: the page then says why it has no picture.
    """
    if format not in FORMATS:
        raise UsageError(f"expected a format out of {', '.join(FORMATS)}, found {format!r}")
    if format == "html":
        return page(report).encode()
    drawing = draw_view(report, view, depth=depth)
    dot = to_dot(drawing, theme)
    if format == "dot":
        return dot.encode()
    drawn = draw(dot, format)
    return finish_svg(drawn.decode(), drawing).encode() if format == "svg" else drawn


def page(report: Report) -> str:
    """The report as one HTML page, with a picture of the whole and one of each module that can be opened."""
    modules = ModuleViews(report)
    chosen = _chosen(report, modules)
    try:
        drawn = draw_all([to_dot(drawing, heading=False) for _, _, drawing in chosen], "svg")
    except DrawingFailed as error:
        return render_html(report, modules.subject, excuse=str(error))
    styles = Styles(LIGHT)
    views: list[PageView] = []
    size = 0
    for (label, module, drawing), svg in zip(chosen, drawn, strict=True):
        number = len(views)
        finished = finish_svg(svg.decode(), drawing, prefix=f"v{number}-", styles=styles)
        size += len(finished)
        if number and size > MOST_SVG:
            break
        views.append(PageView(label, module, drawing, finished))
    return render_html(report, modules.subject, views, looks=styles.css())


def pages(reports: Sequence[Report]) -> str:
    """Reports on several targets as one HTML page: a table, and a section for each with its findings and a picture.

    Of many reports the first MOST_VIEWS with a finding have a picture, then the others.
    """
    order = sorted(range(len(reports)), key=lambda number: (not reports[number].findings, number))
    chosen = sorted([number for number in order if reports[number].flow.nodes][:MOST_VIEWS])
    drawings = {number: ModuleViews(reports[number]).whole() for number in chosen}
    styles, excuse = Styles(LIGHT), ""
    pictures = [""] * len(reports)
    try:
        drawn = draw_all([to_dot(drawing, heading=False) for drawing in drawings.values()], "svg") if drawings else []
    except DrawingFailed as error:
        excuse = str(error)
    else:
        for (number, drawing), svg in zip(drawings.items(), drawn, strict=True):
            pictures[number] = finish_svg(svg.decode(), drawing, prefix=f"r{number}-", styles=styles)
    return render_pages(reports, pictures, looks=styles.css(), excuse=excuse)


def notebook_bundle(report: Report) -> dict[str, str]:
    """What a notebook shows, by media type. Ids differ from one call to the next, since all outputs of a notebook share one page."""
    text = render(report, "text")
    bundle = {"text/plain": text}
    drawing = ModuleViews(report).whole()
    picture = ""
    if report.flow.nodes:
        try:
            drawn = draw(to_dot(drawing), "svg").decode()
        except DrawingFailed as error:
            picture = f"<p>{escape(str(error))}</p>"
        else:
            bundle["image/svg+xml"] = finish_svg(drawn, drawing, prefix=f"gradflow{next(_NOTEBOOK_OUTPUTS)}-")
            picture = f'<div style="overflow-x:auto">{bundle["image/svg+xml"]}</div>'
    bundle["text/html"] = f"<div>{picture}<pre>{escape(text)}</pre></div>\n"
    return bundle


def _chosen(report: Report, modules: ModuleViews) -> list[tuple[str, str, Drawing]]:
    """(label, module, drawing) of the pictures in a page."""
    focus, whole = modules.whole(), modules.whole(1)
    found = [("where the gradient stops" if report.findings else "the model", "", focus)]
    if len(whole.boxes) != len(focus.boxes):
        found.append(("whole model", "", whole))
    if max((len(row.history) for row in report.parameters), default=0) > 1:
        found.append(("over steps", "", draw_heatmap(report)))
    for module in modules.modules_to_open()[: MOST_VIEWS - len(found)]:
        found.append((module, module, modules.module(module)))
    return found
