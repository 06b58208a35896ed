"""The section of the text report on parameters that were asked for (`--param`): why each layer learns, or does not."""

from __future__ import annotations

from itertools import groupby

from gradflow.graph.site import Site
from gradflow.render.glyphs import VERDICT_STYLE
from gradflow.render.page import Page
from gradflow.report import Focus, Neighbour, ParameterRow, Report

MOST_LAYERS = 6
ENDS = 5
"""Modules: of a long way so many are named at either end."""
_NOT_MEASURED = "not measured"


def add_focus(page: Page, report: Report, verbose: bool) -> None:
    """Adds one block for each layer in focus; `verbose` leaves none out. Adds nothing where nothing was asked for."""
    layers = [list(group) for _, group in groupby(report.focus, lambda focus: _owner(report.parameters[focus.parameter]))]
    shown = layers if verbose or len(layers) <= MOST_LAYERS + 1 else layers[:MOST_LAYERS]
    for layer in shown:
        _add_layer(page, report, layer, verbose)
        page.blank()
    if len(shown) < len(layers):
        page.line(f"... and {len(layers) - len(shown):,} more layers in focus")
        page.blank()


def _add_layer(page: Page, report: Report, layer: list[Focus], verbose: bool) -> None:
    first = report.parameters[layer[0].parameter]
    kind = f" ({first.owner_class})" if first.owner_class else ""
    page.line(("focus: ", "bold"), (page.show(_owner(first) or first.root or first.name), "bold"), page.show(kind))
    for focus in layer:
        _add_parameter(page, report.parameters[focus.parameter], focus)
    _add_fact(page, "way to the loss", _way(page, layer[0], verbose))
    cuts = dict.fromkeys(cut for focus in layer for cut in focus.cuts)
    words = [("on another way: " if cut.beside else "") + f"{cut.label}{_place(cut.site)}" for cut in cuts]
    _add_fact(page, "cuts in between", "; ".join(words) or "none")
    for word, before in (("before it", True), ("after it", False)):
        near = [_neighbour(page, entry) for entry in layer[0].neighbours if entry.before is before]
        _add_fact(page, word, ", ".join(near) or "no module with parameters")
    share = layer[0].zero_share
    _add_fact(page, "zeros in output", _NOT_MEASURED if share is None else f"{share:.0%}")


def _add_parameter(page: Page, row: ParameterRow, focus: Focus) -> None:
    head = f"{page.glyphs.verdict[row.verdict]} {row.name.rpartition('.')[2]}"
    found = f" ({', '.join(focus.findings)})" if focus.findings else ""
    page.paragraph("  ", (page.show(head), VERDICT_STYLE[row.verdict]), page.show(f": {focus.why}{found}"), indent=6)
    live, steps = row.live_in
    last = row.history[-1] if row.history else None
    facts = (
        f"live in {live} of {steps}",
        "no gradient" if row.grad_norm is None else f"|g| {_number(row.grad_norm)}",
        f"|w| {_number(row.weight_norm)}",
        f"lr {_number(last.lr if last else None)}",
        f"|dw|/|w| {_number(last.update_ratio if last else None)}",
        f"held by {', '.join(row.optimizers) or 'no optimizer'}",
    )
    page.paragraph(f"      {', '.join(page.show(fact) for fact in facts)}", indent=6)


def _add_fact(page: Page, word: str, text: str) -> None:
    page.paragraph((f"  {word + ':':17}", "bright_black"), page.show(text), indent=19)


def _way(page: Page, focus: Focus, verbose: bool) -> str:
    if not focus.reaches_loss:
        return "none was seen"
    arrow = " → " if page.unicode else " -> "
    path = list(focus.path)
    if not verbose and len(path) > 2 * ENDS + 1:
        path = [*path[:ENDS], f"... {len(path) - 2 * ENDS:,} more ...", *path[-ENDS:]]
    return arrow.join([*path, "loss"])


def _neighbour(page: Page, near: Neighbour) -> str:
    norm = f" |g| {_number(near.grad_norm)}" if near.grad_norm is not None else ""
    return f"{near.module} {near.verdict.value}{norm}"


def _place(site: Site | None) -> str:
    return f" ({site.file}:{site.line})" if site else ""


def _owner(row: ParameterRow) -> str:
    return row.owner or row.name.rpartition(".")[0]


def _number(value: float | None) -> str:
    """`1.2e-03`; a number that was not measured is said to be so."""
    return _NOT_MEASURED if value is None else f"{value:.1e}"
