"""The module views: what runs inside which module, opened where a gradient is cut, folded where siblings are equal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradflow.errors import UsageError
from gradflow.report import ParameterRow, Report, Severity
from gradflow.verdict import Verdict
from gradflow.views.contraction import INPUT, Contracted, Unit, contract
from gradflow.views.drawing import Arrow, Box, Card, Direction, Drawing, Excerpt, Flow, Frame, Join, Pill, Row
from gradflow.views.excerpts import excerpt_at, excerpt_beside
from gradflow.views.flow_state import FlowState, Mark, flow_state
from gradflow.views.layout import forward_edges, ranks, trunk
from gradflow.views.module_tree import ModuleTree, ancestors
from gradflow.views.words import clipped, counts_of, headline, norm_word, run_title, shape_word, tally, worst_of

MOST_BOXES = 200
ROWS_UP_TO = 6
"""A drawing with no more cards shows each parameter of a card with no more than MOST_ROWS of them in a row of its own."""
MOST_ROWS = 6
BESIDE = 4
"""So many findings that stand at no operation get a card of their own."""
_UNSPEAKING = frozenset({"add", "iadd", "sub", "mul", "div", "truediv", "sum", "mean", "neg", "squeeze", "view", "reshape"})
"""Calls whose name says nothing of the loss that they return."""
_SIGNS = {"add": "+", "iadd": "+", "__add__": "+", "add_": "+", "__iadd__": "+", "sub": "−", "mul": "·", "__mul__": "·", "matmul": "@"}


def draw_modules(report: Report, *, depth: int | None = None) -> Drawing:
    """The whole model. `depth` opens all modules that far down; by default those are opened in which a gradient is cut."""
    view = _View(report)
    opened = view.tree.focus(view.cut_modules()) if depth is None else view.tree.open_to_depth(max(depth, 1))
    return view.drawing(opened, "", headline(report), tally(report))


def draw_module(report: Report, name: str) -> Drawing:
    """One module, opened, with what comes into it and where its values go.

    Raises:
        UsageError: where no parameter lies in a module `name`.
    """
    view = _View(report)
    path = view.tree.canonical(name)
    branch = view.tree.branch(path)
    if not name or branch is None:
        known = ", ".join(view.tree.shown("")[:8])
        raise UsageError(f"expected the path of a module that holds parameters, found {name!r}; the outermost are {known or 'none'}")
    inside = [cut for cut in view.cut_modules() if path in ancestors(view.tree.canonical(cut))]
    opened = {other for module in [path, *inside] for other in ancestors(view.tree.canonical(module))}
    rows = [view.report.parameters[number] for number in branch.all]
    counts = ", ".join(f"{count:,} {verdict.value}" for verdict, count in counts_of(rows))
    kind = f"{branch.kind}: " if branch.kind else ""
    return view.drawing(opened, path, name, f"{kind}{counts}; {headline(report)}")


class _View:
    """A report with what all module views ask of it."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.state = flow_state(report)
        self.kinds = _classes(report)
        self._marked = list(_marked_modules(report, self.state))
        self.tree = ModuleTree(report.parameters, self.kinds, self._marked)
        self._members = self.tree.members()

    def cut_modules(self) -> list[str]:
        """The modules in whose own code a finding stands."""
        return list(dict.fromkeys(path for path, _ in self._marked))

    def drawing(self, opened: set[str], within: str, title: str, subtitle: str) -> Drawing:
        """The drawing with so many modules open as the limit on boxes allows, of what lies in module `within`."""
        whole = contract(self.report.flow, self.state, self.tree, opened)
        deepest = max(map(self.tree.depth_of, opened))
        while len(whole.units) > MOST_BOXES and deepest > self.tree.depth_of(within):
            opened = {path for path in opened if self.tree.depth_of(path) < deepest}
            deepest -= 1
            whole = contract(self.report.flow, self.state, self.tree, opened)
        return _Assembly(self, whole, opened, within).drawing(title, subtitle)

    def rows_of(self, unit: Unit, whole: Contracted) -> list[ParameterRow]:
        """The parameters that the card of `unit` stands for."""
        numbers = self._members.get(unit[1], []) if unit[0] == "module" else whole.parameters.get(unit, [])
        return [self.report.parameters[number] for number in numbers]


def _classes(report: Report) -> dict[str, str]:
    """The class of a module that runs code of its own, read off the function in which it runs: `Block.forward`."""
    votes: dict[str, Counter[str]] = {}
    for node in report.flow.nodes:
        if node.module and node.site >= 0:
            name, dot, function = report.flow.sites[node.site].function.rpartition(".")
            if dot and function == "forward":
                votes.setdefault(node.module, Counter())[name] += 1
    return {path: counts.most_common(1)[0][0].rpartition(".")[2] for path, counts in votes.items()}


def _marked_modules(report: Report, state: FlowState) -> Iterable[tuple[str, object]]:
    """(module, place) of every finding in the flow: the module whose code has the line."""
    flow = report.flow
    for cut, place in sorted(state.cut_marks.items()):
        site = flow.sites[flow.cuts[cut].site]
        yield site.module, place
    for node, place in sorted(state.node_marks.items()):
        yield flow.nodes[node].module, place


@dataclass(frozen=True, slots=True)
class _Part:
    unit: Unit
    shape: Card | Excerpt | Pill | Join
    module: str
    """The open module in which it stands."""


class _Assembly:
    """Puts units on the page: boxes, frames, arrows."""

    def __init__(self, view: _View, whole: Contracted, opened: set[str], within: str) -> None:
        self.view, self.whole, self.opened, self.within = view, whole, opened, within
        self.frames: list[Frame] = []
        self.frame_of: dict[str, int] = {}
        self._framed = self._modules_with_frames()

    def drawing(self, title: str, subtitle: str) -> Drawing:
        units = self._limited(self._chosen())
        flows = self._flows_between(units)
        forward = forward_edges(units, flows)
        flows = self._without_loops_of_folded(flows, forward)
        rank = ranks(units, forward)
        on_trunk = trunk(units, forward, rank)
        cards = sum(unit[0] in ("module", "line", "own") for unit in units)
        detailed = cards <= ROWS_UP_TO and all(len(self._rows(unit)) <= MOST_ROWS for unit in units)
        boxes: list[Box] = []
        number_of: dict[Unit, int] = {}
        for unit in self._in_frames(units):
            number_of[unit] = len(boxes)
            boxes.append(Box(self._shape(unit, detailed), self._frame(unit), unit in on_trunk))
        arrows = [
            Arrow(
                number_of[source],
                number_of[target],
                flow,
                skip=rank[target] - rank[source] != 1 and (source not in on_trunk or target not in on_trunk or rank[target] > rank[source]),
                label=self._label(source, target, flow, rank),
                head=target[0] != "cut",
            )
            for (source, target), flow in flows.items()
        ]
        self._add_findings_beside(boxes, arrows, number_of)
        straight = not self.frames or all(frame.region for frame in self.frames)
        excerpts = sum(isinstance(box.shape, Excerpt) for box in boxes)
        wide = cards + 2 * excerpts <= 6 and max(rank.values(), default=0) >= len(boxes) - 1 - (excerpts > 0) and straight
        direction = Direction.RIGHT if wide and excerpts <= 1 else Direction.DOWN
        words = _described(boxes)
        return Drawing(title, subtitle, tuple(boxes), tuple(arrows), tuple(self.frames), direction, words).check()

    def _chosen(self) -> list[Unit]:
        """The units on the page: all, or those in one module and their neighbours."""
        if not self.within:
            return list(self.whole.units)
        inside = {unit for unit in self.whole.units if self.within in ancestors(self._module(unit)) or self._is_in(unit)}
        near = {unit for pair in self.whole.flows for unit in pair if inside & set(pair)}
        return [unit for unit in self.whole.units if unit in inside | near]

    def _is_in(self, unit: Unit) -> bool:
        return unit[0] == "module" and unit[1] != self.within and self.within in ancestors(unit[1])

    def _limited(self, units: list[Unit]) -> list[Unit]:
        """At most MOST_BOXES units: those with faults first, then in order."""
        if len(units) <= MOST_BOXES:
            return units
        plain = (Verdict.LIVE, Verdict.FROZEN)
        bad = [unit for unit in units if unit[0] in ("cut", "loss") or any(row.verdict not in plain for row in self._rows(unit))]
        kept = set((bad + [unit for unit in units if unit not in set(bad)])[:MOST_BOXES])
        return [unit for unit in units if unit in kept]

    def _flows_between(self, units: Sequence[Unit]) -> dict[tuple[Unit, Unit], Flow]:
        there = set(units)
        return {pair: flow for pair, flow in self.whole.flows.items() if there.issuperset(pair)}

    def _without_loops_of_folded(
        self, flows: dict[tuple[Unit, Unit], Flow], forward: Sequence[tuple[Unit, Unit]]
    ) -> dict[tuple[Unit, Unit], Flow]:
        """`flows` without the way from a folded sibling to the next, which would come back to the same boxes."""
        ahead = set(forward)
        folded = {path for path in self.opened if len(self.view.tree.run(path)) > 1}
        inside = {unit: folded & set(ancestors(self._module(unit))) for pair in flows for unit in pair}
        loops = {pair for pair in flows if pair not in ahead and inside[pair[0]] & inside[pair[1]]}
        return {pair: flow for pair, flow in flows.items() if pair not in loops}

    def _rows(self, unit: Unit) -> list[ParameterRow]:
        return self.view.rows_of(unit, self.whole)

    def _module(self, unit: Unit) -> str:
        """The open module in whose code the unit stands."""
        if unit[0] == "module":
            return unit[1].rpartition(".")[0]
        return {"line": unit[1:2], "join": unit[1:2], "own": unit[1:2], "cut": unit[3:4]}.get(unit[0], ("",))[0]

    def _modules_with_frames(self) -> set[str]:
        """Open modules that run code of their own, or whose children have names: a list of blocks needs no frame."""
        busy = {path for unit in self.whole.units if unit[0] in ("line", "join", "own", "cut") for path in [self._module(unit)]}
        named = {path for path in self.opened if path and not all(re.search(r"\d\]?$", child) for child in self.view.tree.shown(path))}
        roots = {row.root for row in self.view.report.parameters}
        outer = {path for path in self.opened if path in roots and len(roots) > 1}
        folded = {path for path in self.opened if len(self.view.tree.run(path)) > 1}
        return ((busy & self.opened) | named | outer | folded) - {""}

    def _around(self, unit: Unit) -> str:
        """The innermost framed module round the unit, empty for none."""
        found = [path for path in ancestors(self._module(unit)) if path in self._framed]
        return found[-1] if found and (not self.within or self.within in ancestors(self._module(unit)) or self._is_in(unit)) else ""

    def _in_frames(self, units: list[Unit]) -> list[Unit]:
        """The units with those of a frame together, frames in the order in which they are first met."""
        place: dict[str, int] = {}
        for unit in units:
            for path in ancestors(self._around(unit)):
                place.setdefault(path, len(place))
        return sorted(units, key=lambda unit: [place[path] for path in ancestors(self._around(unit))])

    def _frame(self, unit: Unit) -> int:
        around = self._around(unit)
        frame = self._module_frame(around) if around else -1
        region = self.whole.inside.get(unit, -1)
        return self._region_frame(region, around, frame) if region >= 0 else frame

    def _module_frame(self, path: str) -> int:
        if path not in self.frame_of:
            outer = [other for other in ancestors(path)[1:-1] if other in self._framed]
            parent = self._module_frame(outer[-1]) if outer else -1
            run = self.view.tree.run(path)
            label = run_title(run, outer[-1] if outer else "") + (f"  ×{len(run)}" if len(run) > 1 else "")
            self.frames.append(Frame(label, self.view.tree.kind(path), parent, module=path))
            self.frame_of[path] = len(self.frames) - 1
        return self.frame_of[path]

    def _region_frame(self, region: int, around: str, parent: int) -> int:
        flow = self.view.report.flow
        site = flow.sites[flow.cuts[region].site]
        key = f"region {site.file}:{site.line} {around}"
        if key not in self.frame_of:
            text = site.source.strip() or flow.cuts[region].label
            self.frames.append(Frame(clipped(text, 60), f"line {site.line}", parent, region=True))
            self.frame_of[key] = len(self.frames) - 1
        return self.frame_of[key]

    def _shape(self, unit: Unit, detailed: bool) -> Card | Excerpt | Pill | Join:
        if self.within and not (self.within in ancestors(self._module(unit)) or self._is_in(unit)) and unit[0] not in ("loss", "cut"):
            return self._neighbour(unit)
        if unit == INPUT:
            return Pill("input")
        if unit[0] == "cut":
            return excerpt_at(self.view.report, self._mark(unit))
        if unit[0] == "loss":
            return self._loss(unit)
        if unit[0] == "join":
            return self._join(unit)
        return self._card(unit, detailed)

    def _neighbour(self, unit: Unit) -> Pill:
        if unit[0] == "module":
            return Pill(run_title(self.view.tree.run(unit[1]), ""), "outside")
        if unit == INPUT:
            return Pill("input")
        return Pill(f"line {unit[3]}" if unit[0] in ("join", "line") else unit[1], "outside")

    def _mark(self, unit: Unit) -> Mark:
        return self.view.state.marks[unit[1], int(unit[2])]

    def _loss(self, unit: Unit) -> Pill:
        several = sum(other[0] == "loss" for other in self.whole.units) > 1
        where = f"line {unit[3]}" if unit[3] != "0" and several else ""
        if unit[1].strip("_") in _UNSPEAKING:
            return Pill("loss", where, strong=True)
        return Pill(clipped(unit[1].strip("_"), 40), where, strong=True)

    def _join(self, unit: Unit) -> Join:
        nodes = [self.view.report.flow.nodes[number] for number in self.whole.units[unit]]
        labels = [node.label for node in nodes]
        sign = _SIGNS.get(labels[-1], clipped(labels[-1].strip("_"), 24))
        flows = [flow for (_, target), flow in self.whole.flows.items() if target == unit]
        return Join(sign, next((flow for flow in Flow if flow in flows), Flow.VALUE))

    def _card(self, unit: Unit, detailed: bool) -> Card:
        rows = self._rows(unit)
        frame = self._around(unit)
        run = self.view.tree.run(unit[1]) if unit[0] == "module" else ()
        title = run_title(run, frame) if run else self._line_title(unit)
        return Card(
            title=title,
            kind=self._kind(unit),
            verdict=worst_of(row.verdict for row in rows or self._shared(unit)),
            counts=counts_of(rows),
            elements=sum(row.elements for row in rows),
            rows=tuple(_row(row) for row in rows) if detailed and len(run) <= 1 else (),
            times=max(len(run), 1),
            note=self._note(unit),
            modules=run or ((unit[1],) if unit[0] == "own" else ()),
        )

    def _kind(self, unit: Unit) -> str:
        if unit[0] == "module":
            return self.view.tree.kind(unit[1])
        if unit[0] == "line" and unit[3] == "0":
            return self.view.kinds.get(unit[1], "")
        return f"line {unit[3]}" if unit[0] == "line" and unit[3] != "0" else ""

    def _line_title(self, unit: Unit) -> str:
        if unit[0] == "own" or unit[3] == "0":
            return run_title((unit[1],), self._around(unit)) if unit[1] else "parameters"
        nodes = self.whole.units[unit]
        site = self.view.report.flow.site_of(nodes[0])
        text = site.source.strip() if site is not None else ""
        return clipped(text, 44) or self.view.report.flow.nodes[nodes[0]].label

    def _shared(self, unit: Unit) -> list[ParameterRow]:
        return [self.view.report.parameters[number] for number in self.whole.uses.get(unit, ())]

    def _note(self, unit: Unit) -> str:
        words = []
        if used := self._shared(unit):
            names = sorted({row.name.rpartition(".")[0] or row.name for row in used})
            words.append(f"shares {clipped(names[0], 24)}" + (f" and {len(names) - 1} more" if len(names) > 1 else ""))
        calls = self.whole.calls.get(unit, 1)
        if calls > 1:
            words.append(f"runs {calls:,}×")
        return ", ".join(words)

    def _label(self, source: Unit, target: Unit, flow: Flow, rank: dict[Unit, int]) -> str:
        """The word `skip` on a gradient that goes round a cut."""
        if flow is not Flow.GRADIENT or rank[target] - rank[source] < 2:
            return ""
        cuts = [unit for unit in rank if unit[0] == "cut" and rank[source] < rank[unit] < rank[target]]
        return "skip" if any((cut, target) in self.whole.flows for cut in cuts) else ""

    def _add_findings_beside(self, boxes: list[Box], arrows: list[Arrow], number_of: dict[Unit, int]) -> None:
        report = self.view.report
        drawn = {number for unit in self.whole.units if unit[0] == "cut" for number in self._mark(unit).findings}
        loud = [
            n for n, finding in enumerate(report.findings) if finding.severity is not Severity.INFO and n not in drawn and finding.sites
        ]
        added = 0
        for number in loud:
            names = set(report.findings[number].parameters)
            about = [
                unit for unit in number_of if unit[0] in ("module", "own", "line") and any(row.name in names for row in self._rows(unit))
            ]
            if not about or added == BESIDE or isinstance(boxes[number_of[about[0]]].shape, Pill):
                continue
            added += 1
            target = number_of[about[0]]
            boxes.append(Box(excerpt_beside(report, number), -1))
            arrows.append(Arrow(len(boxes) - 1, target, Flow.VALUE, tie=True))


def _row(row: ParameterRow) -> Row:
    return Row(row.name.rpartition(".")[2] or row.name, shape_word(row.shape), row.verdict, norm_word(row))


def _described(boxes: Iterable[Box]) -> str:
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
