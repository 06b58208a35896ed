"""Gradient norms by layer and step of a watched run: where they fade, and where none comes at all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradflow.report import ParameterRow, Report
from gradflow.verdict import Verdict
from gradflow.views.drawing import Box, Drawing, Grid
from gradflow.views.words import headline, plural, worst_of

MOST_ROWS = 64
MOST_COLUMNS = 60
LEVELS = 8
DECADES = 8
"""The scale reaches so far down from the greatest norm; what is less is shown as its lowest level."""


def draw_heatmap(report: Report) -> Drawing:
    """One row a layer, one column a step (or a few, where there are many); the norm is over all parameters of the layer."""
    steps = sorted({step.step for row in report.parameters for step in row.history})
    groups = _layers(report.parameters)
    norms = {name: _norms(rows, steps) for name, rows in groups.items()}
    known = [norm for row in norms.values() for norm in row if norm is not None and norm > 0]
    high = math.ceil(math.log10(max(known))) if known else 0
    low = max(min(math.floor(math.log10(min(known))), high - 1), high - DECADES) if known else -1
    columns = _columns(len(steps))
    rows = tuple(
        (name, _verdict(groups[name]), tuple(_cell([norms[name][step] for step in column], low, high) for column in columns))
        for name in groups
    )
    grid = Grid(rows, tuple(steps[column[0]] for column in columns), low, high)
    words = f"{headline(report)}; {plural(len(steps), 'step')}, {plural(len(rows), 'row')}"
    boxes = (Box(grid),) if rows and steps else ()
    return Drawing("Gradient norm by layer and step", words, boxes, description=_described(grid)).check()


def _layers(rows: Sequence[ParameterRow]) -> dict[str, list[ParameterRow]]:
    """Parameters by module, at the greatest depth that needs no more than MOST_ROWS rows."""
    deepest = max((_path(row).count(".") + 1 for row in rows), default=1)
    for depth in range(deepest, 0, -1):
        groups: dict[str, list[ParameterRow]] = {}
        for row in rows:
            if row.verdict is not Verdict.FROZEN:
                groups.setdefault(".".join(_path(row).split(".")[:depth]) or row.name, []).append(row)
        if len(groups) <= MOST_ROWS:
            return groups
    return dict(list(groups.items())[:MOST_ROWS])


def _path(row: ParameterRow) -> str:
    return row.owner or row.name.rpartition(".")[0]


def _norms(rows: Sequence[ParameterRow], steps: Sequence[int]) -> list[float | None]:
    """By step, the L2 norm over all elements of `rows`; None where no gradient came."""
    by_step: dict[int, list[float]] = {}
    for row in rows:
        for step in row.history:
            if step.grad_norm is not None and math.isfinite(step.grad_norm):
                by_step.setdefault(step.step, []).append(step.grad_norm)
    return [math.hypot(*by_step[step]) if step in by_step else None for step in steps]


def _columns(count: int) -> list[range]:
    size = max(math.ceil(count / MOST_COLUMNS), 1)
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _cell(norms: Sequence[float | None], low: int, high: int) -> int | None:
    """The level of the least norm of a column: what fades or is missing must not hide behind its neighbours."""
    known = [norm for norm in norms if norm is not None]
    if len(known) < len(norms) or not known:
        return None
    least = min(known)
    if least <= 0:
        return 0
    return min(max(int((math.log10(least) - low) / (high - low) * LEVELS), 0), LEVELS - 1)


def _verdict(rows: Sequence[ParameterRow]) -> Verdict:
    return worst_of(row.verdict for row in rows)


def _described(grid: Grid) -> str:
    without = [name for name, _, cells in grid.rows if None in cells]
    return f"{len(grid.rows)} rows of {len(grid.steps)} steps; no gradient in some steps: {', '.join(without[:20]) or 'none'}"
