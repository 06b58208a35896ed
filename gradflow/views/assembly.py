"""Puts the units of a contracted graph on the page: boxes, frames, arrows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gradflow.report import Severity
from gradflow.verdict import Verdict
from gradflow.views.contraction import Contracted, Unit
from gradflow.views.drawing import Arrow, Box, Card, Direction, Drawing, Excerpt, Flow, Frame, Join, Pill
from gradflow.views.excerpts import excerpt_beside
from gradflow.views.layout import forward_edges, ranks, trunk
from gradflow.views.module_tree import ancestors
from gradflow.views.norms import merge_norms
from gradflow.views.shapes import CARDS, Shapes, described, is_detailed
from gradflow.views.subject import Subject
from gradflow.views.words import clipped, run_title

MOST_BOXES = 200
BESIDE = 4
"""So many findings that stand at no operation get a card of their own."""
_FINE = (Verdict.LIVE, Verdict.FROZEN)


def assemble(subject: Subject, whole: Contracted, opened: set[str], within: str, title: str, subtitle: str) -> Drawing:
    """The drawing of `whole`, in which the modules `opened` are open; only of what lies in the module `within`, unless that is empty."""
    return _Assembly(subject, whole, opened, within).drawing(title, subtitle)


class _Assembly:
    def __init__(self, subject: Subject, whole: Contracted, opened: set[str], within: str) -> None:
        self.subject, self.whole, self.opened, self.within = subject, whole, opened, within
        self.frames: list[Frame] = []
        self.frame_of: dict[str, int] = {}
        self._shapes = Shapes(subject, whole)
        self._framed = self._modules_with_frames()

    def drawing(self, title: str, subtitle: str) -> Drawing:
        units = self._limited(self._chosen())
        flows = self._flows_between(units)
        detailed = is_detailed(self._shapes.rows(unit) for unit in units if unit[0] in CARDS)
        self._framed -= self._left_and_entered_again(forward_edges(units, flows))
        if not detailed and not self.within:
            units, flows = self._with_norms_merged(units, flows)
        forward = forward_edges(units, flows)
        flows = self._without_loops_of_folded(flows, forward)
        rank = ranks(units, forward)
        on_trunk = trunk(units, forward, rank)
        boxes: list[Box] = []
        number_of: dict[Unit, int] = {}
        for unit in self._in_frames(units):
            number_of[unit] = len(boxes)
            boxes.append(Box(self._shape(unit, detailed), self._frame(unit), unit in on_trunk))
        arrows = [
            Arrow(
                number_of[source],
                number_of[target],
                self._flow(source, target, flow),
                skip=rank[target] - rank[source] != 1 and not (source in on_trunk and target in on_trunk and rank[target] < rank[source]),
                label=self._label(source, target, self._flow(source, target, flow), rank),
                head=target[0] != "cut",
            )
            for (source, target), flow in flows.items()
        ]
        self._add_findings_beside(boxes, arrows, number_of)
        direction = self._direction(boxes, max(rank.values(), default=0))
        return Drawing(title, subtitle, tuple(boxes), tuple(arrows), tuple(self.frames), direction, described(boxes)).check()

    def _flow(self, source: Unit, target: Unit, flow: Flow) -> Flow:
        """A gradient that comes back as zero is no gradient to the eye."""
        verdicts = {row.verdict for row in self._shapes.rows(source)} - {Verdict.FROZEN}
        nothing = target[0] == "cut" and self._shapes.verdict_at(target) is Verdict.ZERO
        return Flow.ZERO if flow is Flow.GRADIENT and (verdicts == {Verdict.ZERO} or nothing) else flow

    def _direction(self, boxes: Sequence[Box], longest: int) -> Direction:
        """To the right for a short chain, which is read like a line of text; else down."""
        cards = sum(isinstance(box.shape, Card) for box in boxes)
        excerpts = sum(isinstance(box.shape, Excerpt) for box in boxes)
        straight = all(frame.region for frame in self.frames) and longest >= len(boxes) - 1 - (excerpts > 0)
        return Direction.RIGHT if straight and excerpts <= 1 and cards + 2 * excerpts <= 5 else Direction.DOWN

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
        bad = [unit for unit in units if unit[0] in ("cut", "loss") or any(row.verdict not in _FINE for row in self._shapes.rows(unit))]
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
        folded = {path for path in self.opened if len(self.subject.tree.run(path)) > 1}
        inside = {unit: folded & set(ancestors(self._module(unit))) for pair in flows for unit in pair}
        loops = {pair for pair in flows if pair not in ahead and inside[pair[0]] & inside[pair[1]]}
        return {pair: flow for pair, flow in flows.items() if pair not in loops}

    def _with_norms_merged(
        self, units: list[Unit], flows: dict[tuple[Unit, Unit], Flow]
    ) -> tuple[list[Unit], dict[tuple[Unit, Unit], Flow]]:
        """Units and flows with a norm and the layer before or after it as one, where nothing else comes between and both are live."""
        merged = merge_norms(units, flows, self._shapes, self._around)
        gone = {first for first, _ in merged.values()}
        into = dict(merged.values())
        kept = {(source, into.get(target, target)): flow for (source, target), flow in flows.items() if source not in gone}
        return [unit for unit in units if unit not in gone], kept

    def _left_and_entered_again(self, forward: Sequence[tuple[Unit, Unit]]) -> set[str]:
        """Framed modules that values leave and come back to: containers whose parts are called from outside, and no block on the page."""
        after: dict[Unit, list[Unit]] = {}
        for source, target in forward:
            after.setdefault(source, []).append(target)
        around = {unit: set(ancestors(self._around(unit))) for pair in forward for unit in pair}
        found = set()
        for path in self._framed:
            met = {target for source, target in forward if path in around[source] and path not in around[target]}
            stack = list(met)
            while stack:
                for target in after.get(stack.pop(), ()):
                    if path in around[target]:
                        found.add(path)
                    elif target not in met:
                        met.add(target)
                        stack.append(target)
        return found

    def _module(self, unit: Unit) -> str:
        """The open module in whose code the unit stands."""
        if unit[0] == "module":
            return unit[1].rpartition(".")[0]
        return {"line": unit[1:2], "join": unit[1:2], "op": unit[1:2], "own": unit[1:2], "cut": unit[3:4]}.get(unit[0], ("",))[0]

    def _modules_with_frames(self) -> set[str]:
        """Open modules that run code of their own, or whose children have names: a list of blocks needs no frame."""
        busy = {path for unit in self.whole.units if unit[0] in ("line", "join", "op", "own", "cut") for path in [self._module(unit)]}
        named = {path for path in self.opened if path and not all(re.search(r"\d\]?$", child) for child in self.subject.tree.shown(path))}
        roots = {row.root for row in self.subject.report.parameters}
        outer = {path for path in self.opened if path in roots and len(roots) > 1}
        folded = {path for path in self.opened if len(self.subject.tree.run(path)) > 1}
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
            run = self.subject.tree.run(path)
            label = run_title(run, outer[-1] if outer else "") + (f"  ×{len(run)}" if len(run) > 1 else "")
            branch = self.subject.tree.branch(path)
            self.frames.append(Frame(label, branch.kind if branch is not None else "", parent, module=path))
            self.frame_of[path] = len(self.frames) - 1
        return self.frame_of[path]

    def _region_frame(self, region: int, around: str, parent: int) -> int:
        flow = self.subject.report.flow
        site = flow.sites[flow.cuts[region].site]
        key = f"region {site.file}:{site.line} {around}"
        if key not in self.frame_of:
            text = site.source.strip() or flow.cuts[region].label
            self.frames.append(Frame(clipped(text, 36), f"line {site.line}", parent, region=True))
            self.frame_of[key] = len(self.frames) - 1
        return self.frame_of[key]

    def _shape(self, unit: Unit, detailed: bool) -> Card | Excerpt | Pill | Join:
        is_inside = not self.within or self.within in ancestors(self._module(unit)) or self._is_in(unit)
        if is_inside or unit[0] in ("loss", "cut"):
            return self._shapes.shape(unit, self._around(unit), detailed)
        return self._shapes.neighbour(unit)

    def _label(self, source: Unit, target: Unit, flow: Flow, rank: dict[Unit, int]) -> str:
        """The word `skip` on a gradient that goes round a cut."""
        if flow is not Flow.GRADIENT or rank[target] - rank[source] < 2:
            return ""
        cuts = [unit for unit in rank if unit[0] == "cut" and rank[source] < rank[unit] < rank[target]]
        return "skip" if any((cut, target) in self.whole.flows for cut in cuts) else ""

    def _add_findings_beside(self, boxes: list[Box], arrows: list[Arrow], number_of: dict[Unit, int]) -> None:
        """Cards of findings that stand at no operation; those of one kind on one line are one card."""
        report = self.subject.report
        drawn = {number for unit in self.whole.units if unit[0] == "cut" for number in self._shapes.mark(unit).findings}
        places: dict[tuple[str, str, int], list[int]] = {}
        tied: dict[tuple[str, str, int], dict[int, None]] = {}
        for number, finding in enumerate(report.findings):
            site = finding.cause
            if finding.severity is Severity.INFO or site is None or number in drawn:
                continue
            names = set(finding.parameters)
            about = (unit for unit in number_of if unit[0] in CARDS and any(row.name in names for row in self._shapes.rows(unit)))
            unit = next(about, None)
            if unit is not None and not isinstance(boxes[number_of[unit]].shape, Pill):
                place = (finding.code, site.file, site.line)
                places.setdefault(place, []).append(number)
                tied.setdefault(place, {})[number_of[unit]] = None
        for place in list(places)[:BESIDE]:
            boxes.append(Box(excerpt_beside(report, places[place])))
            arrows.extend(Arrow(len(boxes) - 1, box, Flow.VALUE, tie=True) for box in tied[place])
