"""Report in, picture out, in the format of a file's suffix: the view, the drawing, and the engine that draws it, in this order."""

from __future__ import annotations

from gradflow.draw import draw
from gradflow.errors import UsageError
from gradflow.render.dot import to_dot
from gradflow.render.palette import Theme
from gradflow.render.svg import finish_svg
from gradflow.report import Report
from gradflow.views import draw_view

FORMATS = ("svg", "png", "pdf", "dot")


def picture(report: Report, format: str, *, view: str = "modules", theme: Theme = Theme.LIGHT, depth: int | None = None) -> bytes:
    """One view of the report in one of FORMATS.

    Raises:
        UsageError: where there is no such format or view, or the report was made without its flow graph.
        DrawingFailed: where no engine draws it; DOT needs none.
    """
    if format not in FORMATS:
        raise UsageError(f"expected a format out of {', '.join(FORMATS)}, found {format!r}")
    drawing = draw_view(report, view, depth=depth)
    dot = to_dot(drawing, theme)
    if format == "dot":
        return dot.encode()
    drawn = draw(dot, format)
    return finish_svg(drawn.decode(), drawing).encode() if format == "svg" else drawn
