"""The module tree, folded: equal numbered siblings are one line, and a module is opened only where its parameters differ in verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rich.text import Text

from gradflow.render.glyphs import VERDICT_STYLE, Glyphs
from gradflow.render.names import plural
from gradflow.render.page import Page, crop
from gradflow.report import ParameterRow
from gradflow.verdict import Verdict

MOST_LINES = 40
"""Lines of the tree unless it is asked for in full."""
BAR_CELLS = 14
MOST_CELLS = 24
"""Cells of a sparkline; a longer row of siblings shares cells, each as high as the lowest of its share."""


@dataclass(slots=True)
class Branch:
    """A module: its children by name, its own parameters, and all parameters at or below it."""

    path: str
    children: dict[str, Branch] = field(default_factory=dict)
    own: list[ParameterRow] = field(default_factory=list)
    all: list[ParameterRow] = field(default_factory=list)

    @property
    def shape(self) -> tuple[object, ...]:
        """Equal for modules that look the same: relative names, sizes, classes and verdicts."""
        start = len(self.path)
        return tuple((row.name[start:], row.shape, row.owner_class, row.verdict) for row in self.all)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: the modules that it stands for (none: it is a parameter) and all the parameters that it counts.

    `times` siblings are folded into it; where their parents are folded too, `branches` holds more than these.
    """

    prefix: str
    label: str
    kind: str
    rows: tuple[ParameterRow, ...]
    branches: tuple[Branch, ...] = ()
    times: int = 1


def module_count(rows: Iterable[ParameterRow]) -> int:
    """How many modules hold parameters of their own."""
    return len({row.name.rpartition(".")[0] for row in rows})


def add_tree(page: Page, rows: tuple[ParameterRow, ...], kinds: Mapping[str, str] | None = None, *, full: bool = False) -> None:
    """Adds the tree of `rows` to the page, at most MOST_LINES lines of it unless `full`.

    `kinds` has the class of modules by path; of those that hold parameters themselves it is known without.
    """
    entries = list(walk(build_tree(rows), page.glyphs, kinds or {}))
    shown = entries if full or len(entries) <= MOST_LINES + 1 else entries[:MOST_LINES]
    labels = [_label(page, entry) for entry in shown]
    columns = _Columns(page, labels, [_counts(page.glyphs, entry.rows) for entry in shown])
    columns.add(*(Text(word, "bright_black") for word in ("module", "status", "parameters", "|grad|")))
    for label, entry in zip(labels, shown, strict=True):
        columns.add(label, _bar(page.glyphs, entry.rows), _counts(page.glyphs, entry.rows), _gradient(page.glyphs, entry))
    if len(shown) < len(entries):
        page.line(f"... and {plural(len(entries) - len(shown), 'more line')}")
    if columns.has_gradient and any(map(_has_sparkline, shown)):
        low, high = page.glyphs.levels[0], page.glyphs.levels[-1]
        page.paragraph((f"heights of |grad|: {low} under 1e-6, then one step a decade, {high} from 1", "bright_black"))


def build_tree(rows: Iterable[ParameterRow]) -> Branch:
    """The root of the tree; every row is in `all` of each module on its path."""
    root = Branch("")
    for row in rows:
        branch = root
        branch.all.append(row)
        parts = row.name.split(".")
        for depth, part in enumerate(parts[:-1], start=1):
            branch = branch.children.setdefault(part, Branch(".".join(parts[:depth])))
            branch.all.append(row)
        branch.own.append(row)
    return root


def walk(root: Branch, glyphs: Glyphs, kinds: Mapping[str, str]) -> Iterator[Entry]:
    """The lines of the tree from top to bottom."""
    stack = [(entry, "") for entry in reversed(_entries_below((root,), ("", ""), kinds))]
    while stack:
        entry, stem = stack.pop()
        yield entry
        if entry.branches and len({row.verdict for row in entry.rows}) > 1:
            below = _entries_below(entry.branches, (stem + glyphs.branch, stem + glyphs.last_branch), kinds)
            stems = [stem + (" " * len(glyphs.stem) if one.prefix.endswith(glyphs.last_branch) else glyphs.stem) for one in below]
            stack.extend(reversed(list(zip(below, stems, strict=True))))


def _entries_below(branches: tuple[Branch, ...], prefixes: tuple[str, str], kinds: Mapping[str, str]) -> list[Entry]:
    """Parameters, then child modules, of modules that look the same; equal numbered neighbours are one entry."""
    first = branches[0]
    names = [row.name.rpartition(".")[2] for row in first.own]
    own = [tuple(branch.own[place] for branch in branches) for place in range(len(names))]
    entries = [Entry("", name, "parameter", rows) for name, rows in zip(names, own, strict=True)]
    for run in _runs(first):
        below = tuple(branch.children[name] for branch in branches for name in run)
        label = run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}"
        rows = tuple(row for branch in below for row in branch.all)
        kind = below[0].own[0].owner_class if below[0].own else kinds.get(below[0].path, "")
        entries.append(Entry("", label, kind, rows, below, len(run)))
    return [replace(entry, prefix=prefixes[entry is entries[-1]]) for entry in entries]


def _runs(branch: Branch) -> list[list[str]]:
    runs: list[list[str]] = []
    for name, child in branch.children.items():
        if runs and name.isdecimal() and runs[-1][-1].isdecimal() and branch.children[runs[-1][-1]].shape == child.shape:
            runs[-1].append(name)
        else:
            runs.append([name])
    return runs


class _Columns:
    """Lays out the four columns in the page's width: the bar goes first where there is no room, then the gradient."""

    def __init__(self, page: Page, labels: list[Text], counts: list[Text]) -> None:
        self._page = page
        self._counts = max(text.cell_len for text in [*counts, Text("parameters")])
        self._label = min(max(text.cell_len for text in [*labels, Text("module")]), max(page.width // 2, page.width - self._counts - 40))
        room = page.width - self._label - self._counts - 2
        self.has_bar = room >= BAR_CELLS + 2
        self.has_gradient = room - (BAR_CELLS + 2) * self.has_bar >= 9

    def add(self, label: Text, bar: Text, counts: Text, gradient: Text) -> None:
        """Adds one line to the page."""
        cells = [(crop(label, self._label, self._page.glyphs.ellipsis), self._label)]
        if self.has_bar:
            cells.append((bar, BAR_CELLS))
        cells.append((counts, self._counts))
        if self.has_gradient:
            cells.append((gradient, 0))
        line = Text()
        for text, width in cells:
            line.append_text(text)
            line.append(" " * (max(width - text.cell_len, 0) + 2))
        line.rstrip()
        self._page.add(line)


def _label(page: Page, entry: Entry) -> Text:
    kind, times = page.show(entry.kind), f" {page.glyphs.times}{entry.times}" if entry.times > 1 else ""
    text = Text.assemble((entry.prefix, "bright_black"), page.show(entry.label))
    return text.append_text(Text.assemble((f" {kind}" if kind else "", "bright_black"), (times, "bold")))


def _tally(rows: tuple[ParameterRow, ...]) -> list[tuple[Verdict, int]]:
    counts = Counter(row.verdict for row in rows)
    return [(verdict, counts[verdict]) for verdict in Verdict if counts[verdict]]


def _bar(glyphs: Glyphs, rows: tuple[ParameterRow, ...]) -> Text:
    """BAR_CELLS cells shared out by number of parameters; no verdict that occurs goes without a cell."""
    tally = _tally(rows)
    cells = [max(1, round(BAR_CELLS * count / len(rows))) for _, count in tally]
    cells[cells.index(max(cells))] += BAR_CELLS - sum(cells)
    return Text.assemble(*((glyphs.bar[verdict] * size, VERDICT_STYLE[verdict]) for (verdict, _), size in zip(tally, cells, strict=True)))


def _counts(glyphs: Glyphs, rows: tuple[ParameterRow, ...]) -> Text:
    return Text(" ").join(Text(f"{glyphs.verdict[verdict]} {count:,}", VERDICT_STYLE[verdict]) for verdict, count in _tally(rows))


def _norm(rows: Iterable[ParameterRow]) -> float | None:
    """L2 norm of the gradients of `rows` together, over those that have a finite one."""
    norms = [row.grad_norm for row in rows if row.grad_norm is not None and math.isfinite(row.grad_norm)]
    return math.hypot(*norms) if norms else None


def _gradient(glyphs: Glyphs, entry: Entry) -> Text:
    norms = [norm for branch in entry.branches if (norm := _norm(branch.all)) is not None]
    if not entry.branches and (norm := _norm(entry.rows)) is not None:
        norms = [norm]
    if not norms:
        return Text("-")
    low, high = f"{min(norms):.1e}", f"{max(norms):.1e}"
    text = Text(low if low == high else f"{low} to {high}")
    return text.append(f" {_sparkline(glyphs, norms)}", "bright_black") if _has_sparkline(entry) and len(norms) > 2 else text


def _has_sparkline(entry: Entry) -> bool:
    return len(entry.branches) > 2


def _sparkline(glyphs: Glyphs, norms: list[float]) -> str:
    """One height a norm on a fixed scale: each decade from 1e-6 to 1 is one step, so that two reports can be compared."""
    cells = min(len(norms), MOST_CELLS)
    lowest = [min(norms[len(norms) * cell // cells : len(norms) * (cell + 1) // cells]) for cell in range(cells)]
    return "".join(glyphs.levels[_height(norm)] for norm in lowest)


def _height(norm: float) -> int:
    return 0 if norm <= 0 else min(max(math.floor(math.log10(norm)) + 7, 0), 7)
