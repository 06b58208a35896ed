"""Report in, drawing out: pure functions that choose what to show. No colours, no fonts, no files, no torch."""

from __future__ import annotations

from gradflow.errors import UsageError
from gradflow.report import Report
from gradflow.views.drawing import Drawing
from gradflow.views.modules import ModuleViews

VIEWS = ("modules", "module:NAME")


def draw_view(report: Report, view: str = "modules", *, depth: int | None = None) -> Drawing:
    """One of VIEWS of the report; `depth` opens all modules that far down instead of those with a cut.

    Raises:
        UsageError: where there is no such view, or no such module.
    """
    name, colon, module = view.partition(":")
    if name == "module" and colon:
        return ModuleViews(report).module(module)
    if view == "modules":
        return ModuleViews(report).whole(depth)
    raise UsageError(f"expected a view out of {', '.join(VIEWS)}, found {view!r}")
