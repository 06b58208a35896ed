"""A comparison of ways to freeze as a table for a terminal: one column a way, one row a layer. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.graph.freezing import Arrival, FreezeCell, FreezeColumn, FreezeComparison, FreezeLayer, FreezeWay

_GLYPHS = {Arrival.ARRIVES: "●", Arrival.ZERO: "◌", Arrival.NONE: "×", None: " "}
_PLAIN = {"●": "+", "◌": "0", "×": "x", "−": "-", "■": "#"}
_ROWS_SHOWN = 30
_LEAST_NAME = 16  # the labels of the last rows
_TIMED = 1e-3  # seconds: a shorter backward pass tells nothing about what is saved
_LEGEND = "● a gradient arrives  ◌ it is zero  × none arrives    moves/still: its weights    ~ its buffers move    ■ to be frozen"
_UNITS = ("B", "kB", "MB", "GB", "TB")


def render_freezing(comparison: FreezeComparison, width: int = 100, *, unicode: bool = True) -> str:
    """The comparison as text; names are cut where a line would be longer than `width`, in ASCII where `unicode` is False."""
    rows = _rows(comparison)
    name_width = max(len(row[0]) for row in rows)
    cell_width = max(len(cell) for row in rows for cell in row[1:]) + 1
    name_width = max(_LEAST_NAME, min(name_width, width - cell_width * len(comparison.columns)))
    lines = [f"{_cut(row[0], name_width):<{name_width}}" + "".join(f"{cell:>{cell_width}}" for cell in row[1:]) for row in rows]
    title = f"{', '.join(comparison.chosen)} of {comparison.model}, frozen in {len(comparison.columns) - 1} ways: one step of "
    paste = ["to freeze just that:", *(f"    {statement}" for statement in comparison.statements)] if comparison.statements else []
    notes = [f"note: {note}" for note in comparison.notes]
    parts = [[f"{title}{comparison.optimizer} each"], lines, [_LEGEND], notes, paste]
    text = "\n\n".join("\n".join(line.rstrip() for line in part) for part in parts if part) + "\n"
    return text if unicode else "".join(_PLAIN.get(letter, letter) for letter in text)


def _rows(comparison: FreezeComparison) -> list[list[str]]:
    columns = comparison.columns
    rows = [["layer", *(column.way.value for column in columns)]]
    for label, cells in _folded(comparison):
        rows.append([label, *(_cell(cell) for cell in cells)])
    plain = columns[0]
    rows.append(["backward memory", *(_bytes(column.saved_bytes) if not column.failure else "" for column in columns)])
    rows.append(["  saved", *(_saved(column.saved_bytes, plain.saved_bytes, column) for column in columns)])
    rows.append(["backward time", *(_time(column.backward_seconds) for column in columns)])
    rows.append(["  saved", *(_saved(column.backward_seconds, _long(plain.backward_seconds), column) for column in columns)])
    rows.append(["died by accident", *(_died(column) for column in columns)])
    return rows


def _folded(comparison: FreezeComparison) -> list[tuple[str, tuple[FreezeCell, ...]]]:
    """(label, cells) of each row; where there are many, neighbours that fare alike in every way share one."""
    cells = list(zip(*(column.cells for column in comparison.columns), strict=True))
    if len(cells) <= _ROWS_SHOWN:
        return [(_label(row), found) for row, found in zip(comparison.layers, cells, strict=True)]
    groups: list[tuple[list[FreezeLayer], tuple[FreezeCell, ...]]] = []
    for row, found in zip(comparison.layers, cells, strict=True):
        if groups and groups[-1][1] == found and groups[-1][0][0].frozen is row.frozen:
            groups[-1][0].append(row)
        else:
            groups.append(([row], found))
    return [(_group(members), found) for members, found in groups]


def _group(members: Sequence[FreezeLayer]) -> str:
    first = _label(members[0])
    return first if len(members) == 1 else f"{first} - {members[-1].path} x{len(members)}"


def _label(row: FreezeLayer) -> str:
    return f"{'■' if row.frozen else ' '} {row.path or row.kind}"


def _cell(cell: FreezeCell) -> str:
    words = {True: "moves", False: "still", None: ""}[cell.weights_moved]
    return f"{_GLYPHS[cell.gradient]} {words}{' ~' if cell.buffers_moved else '  '}"


def _died(column: FreezeColumn) -> str:
    if column.failure:
        return "no step"
    return "" if column.way is FreezeWay.NOTHING else str(len(column.died) or "none")


def _bytes(number: float) -> str:
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("the last unit takes any number")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _saved(number: float | None, plain: float | None, column: FreezeColumn) -> str:
    if column.way is FreezeWay.NOTHING or column.failure or not plain or number is None:
        return ""
    share = 100 * (1 - number / plain)
    return "none" if abs(share) < 0.5 else f"{share:.0f}%" if share > 0 else f"−{-share:.0f}%"


def _long(seconds: float | None) -> float | None:
    return seconds if seconds is not None and seconds >= _TIMED else None


def _cut(name: str, width: int) -> str:
    """At most `width` letters: of a label (a mark, a path) the end is kept, where the paths of neighbours differ."""
    return name if len(name) <= width else f"{name[:2]}..{name[len(name) - width + 4 :]}"
