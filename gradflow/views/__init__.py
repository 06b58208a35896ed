"""Report in, drawing out: pure functions that choose what to show. No colours, no fonts, no files, no torch."""

from __future__ import annotations

from gradflow.errors import UsageError
from gradflow.report import Report
from gradflow.views.autograd import draw_autograd
from gradflow.views.drawing import Drawing
from gradflow.views.heatmap import draw_heatmap
from gradflow.views.modules import ModuleViews

VIEWS = ("modules", "module:NAME", "operations", "autograd", "heatmap")


def draw_view(report: Report, view: str = "modules", *, depth: int | None = None) -> Drawing:
    """One of VIEWS of the report; `depth` opens all modules that far down instead of those with a cut (`modules` only).

    Raises:
        UsageError: where there is no such view, no such module, or the raw graph is too large for a drawing.
    """
    name, colon, module = view.partition(":")
    if name == "module" and colon:
        return ModuleViews(report).module(module)
    match view:
        case "modules":
            return ModuleViews(report).whole(depth)
        case "operations":
            return ModuleViews(report).operations()
        case "autograd":
            return draw_autograd(report)
        case "heatmap":
            return draw_heatmap(report)
    raise UsageError(f"expected a view out of {', '.join(VIEWS)}, found {view!r}")
