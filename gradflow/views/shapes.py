"""The box of each unit: cards of modules and lines, joins, losses, and what they say."""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.report import ParameterRow
from gradflow.verdict import Verdict
from gradflow.views.contraction import INPUT, Contracted, Unit
from gradflow.views.drawing import Box, Card, Excerpt, Flow, Join, Pill, Row
from gradflow.views.excerpts import excerpt_at
from gradflow.views.flow_state import Mark
from gradflow.views.subject import Subject
from gradflow.views.words import clipped, counts_of, norm_word, run_title, shape_word, worst_of

CARDS = ("module", "line", "own")
"""The kinds of units that are drawn as cards of parameters."""
_MOST_CARDS, _MOST_ROWS = 6, 6
_UNSPEAKING = frozenset({"add", "iadd", "sub", "mul", "div", "truediv", "sum", "mean", "neg", "squeeze", "view", "reshape"})
"""Calls whose name says nothing of the loss that they return."""
_SIGNS = {"add": "+", "iadd": "+", "__add__": "+", "add_": "+", "__iadd__": "+", "sub": "−", "mul": "·", "__mul__": "·", "matmul": "@"}


def is_detailed(cards: Iterable[list[ParameterRow]]) -> bool:
    """Whether each parameter has a row of its own: in a drawing of a few cards, none of which is long."""
    sizes = [len(rows) for rows in cards]
    return len(sizes) <= _MOST_CARDS and max(sizes, default=0) <= _MOST_ROWS


def described(boxes: Iterable[Box]) -> str:
    """What the drawing shows, in words: its boxes from the input on."""
    words = []
    for box in boxes:
        shape = box.shape
        if isinstance(shape, Card):
            counts = ", ".join(f"{count} {verdict.value}" for verdict, count in shape.counts)
            words.append(f"{shape.title}: {counts}" if counts else shape.title)
        elif isinstance(shape, Excerpt):
            words.append(f"{shape.headline} ({shape.place})")
        elif isinstance(shape, Pill):
            words.append(shape.label)
    return "; ".join(words[:40]) + ("; and more" if len(words) > 40 else "")


class Shapes:
    """Makes the boxes of one contracted graph."""

    def __init__(self, subject: Subject, whole: Contracted) -> None:
        self._subject, self._whole = subject, whole
        self._report = subject.report
        self.merged: dict[Unit, tuple[Unit, Unit]] = {}
        """By unit, the two that its card stands for, where it stands for two."""

    def rows(self, unit: Unit) -> list[ParameterRow]:
        """The parameters that the card of `unit` stands for."""
        return [row for part in self.merged.get(unit, (unit,)) for row in self._subject.rows_of(part, self._whole)]

    def is_norm(self, unit: Unit) -> bool:
        """Whether it is a layer of normalisation, by its class."""
        return "norm" in self._subject.tree.kind(unit[1]).lower() and " " not in self._subject.tree.kind(unit[1])

    def is_single(self, unit: Unit) -> bool:
        """Whether it is one layer or plain sequence of layers, which takes no parameters of another module."""
        branch = self._subject.tree.branch(unit[1])
        block = branch is not None and bool(branch.kind and branch.children)
        return not block and len(self._subject.tree.run(unit[1])) == 1 and unit not in self._whole.uses

    def title(self, unit: Unit, frame: str) -> str:
        """What the card of a module is named in the frame of module `frame`."""
        return run_title(self._subject.tree.run(unit[1]), frame)

    def shape(self, unit: Unit, frame: str, detailed: bool) -> Card | Excerpt | Pill | Join:
        """The box of `unit`, which stands in the module `frame`; with `detailed` a card shows each of its parameters."""
        match unit[0]:
            case "input":
                return Pill("input")
            case "cut":
                return excerpt_at(self._report, self.mark(unit))
            case "loss":
                return self._loss(unit)
            case "join" | "op":
                return self._join(unit)
            case _:
                return self._card(unit, frame, detailed)

    def neighbour(self, unit: Unit) -> Pill:
        """A unit outside the module that is drawn: its name only."""
        if unit[0] == "module":
            return Pill(run_title(self._subject.tree.run(unit[1]), ""), "outside")
        if unit == INPUT:
            return Pill("input")
        return Pill(f"line {unit[3]}" if unit[0] in ("join", "op", "line") else unit[1], "outside")

    def verdict_at(self, unit: Unit) -> Verdict:
        """What the finding at a cut's place makes of the parameters behind it."""
        return excerpt_at(self._report, self.mark(unit)).verdict

    def mark(self, unit: Unit) -> Mark:
        """The place at which the card of a cut stands."""
        return self._subject.state.marks[unit[1], int(unit[2])]

    def _loss(self, unit: Unit) -> Pill:
        several = sum(other[0] == "loss" for other in self._whole.units) > 1
        where = f"line {unit[3]}" if unit[3] != "0" and several else ""
        if unit[1].strip("_") in _UNSPEAKING:
            return Pill("loss", where, strong=True)
        return Pill(clipped(unit[1].strip("_"), 40), where, strong=True)

    def _join(self, unit: Unit) -> Join:
        nodes = [self._report.flow.nodes[number] for number in self._whole.units[unit]]
        labels = [node.label for node in nodes]
        sign = _SIGNS.get(labels[-1], clipped(labels[-1].strip("_"), 24))
        flows = [flow for (_, target), flow in self._whole.flows.items() if target == unit]
        return Join(sign, next((flow for flow in Flow if flow in flows), Flow.VALUE))

    def _card(self, unit: Unit, frame: str, detailed: bool) -> Card:
        rows = self.rows(unit)
        run = self._subject.tree.run(unit[1]) if unit[0] == "module" else ()
        title = run_title(run, frame) if run else self._line_title(unit, frame)
        kind = self._kind(unit)
        if unit in self.merged:
            title = " + ".join(self.title(part, frame) for part in self.merged[unit])
            kind = ", ".join(filter(None, map(self._kind, self.merged[unit])))
            run = tuple(path for part in self.merged[unit] for path in self._subject.tree.run(part[1]))
        return Card(
            title=title,
            kind=kind,
            verdict=worst_of(row.verdict for row in rows or self._shared(unit)),
            counts=counts_of(rows),
            elements=sum(row.elements for row in rows),
            rows=tuple(_row(row) for row in rows) if detailed and len(run) <= 1 else (),
            times=max(len(run), 1) if unit not in self.merged else 1,
            note=self._note(unit),
            modules=run or ((unit[1],) if unit[0] == "own" else ()),
        )

    def _kind(self, unit: Unit) -> str:
        if unit[0] == "module":
            return self._subject.tree.kind(unit[1])
        if unit[0] == "line" and unit[3] == "0":
            return self._subject.classes.get(unit[1], "")
        return f"line {unit[3]}" if unit[0] == "line" and unit[3] != "0" else ""

    def _line_title(self, unit: Unit, frame: str) -> str:
        if unit[0] == "own" or unit[3] == "0":
            return run_title((unit[1],), frame) if unit[1] else "parameters"
        nodes = self._whole.units[unit]
        site = self._report.flow.site_of(nodes[0])
        text = site.source.strip() if site is not None else ""
        return clipped(text, 44) or self._report.flow.nodes[nodes[0]].label

    def _shared(self, unit: Unit) -> list[ParameterRow]:
        return [self._report.parameters[number] for number in self._whole.uses.get(unit, ())]

    def _note(self, unit: Unit) -> str:
        words = []
        if used := self._shared(unit):
            names = sorted({row.name.rpartition(".")[0] or row.name for row in used})
            words.append(f"shares {clipped(names[0], 24)}" + (f" and {len(names) - 1} more" if len(names) > 1 else ""))
        calls = self._whole.calls.get(unit, 1)
        if calls > 1:
            words.append(f"runs {calls:,}×")
        return ", ".join(words)


def _row(row: ParameterRow) -> Row:
    return Row(row.name.rpartition(".")[2] or row.name, shape_word(row.shape), row.verdict, norm_word(row))
