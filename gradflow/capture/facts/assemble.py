"""Turns the trace of a session into the frozen flow graph: steps that matter, numbered in capture order, joined with autograd's nodes."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType

from gradflow.capture.facts.host_flow import depends, line_of
from gradflow.capture.facts.source import region_site, site_of
from gradflow.capture.flow.trace import CUT, INERT, LIVE, REGION, Region, Step, steps_above
from gradflow.capture.training.autograd_walk import Walk
from gradflow.graph.flow import CutReason, EdgeKind, FlowGraph, FlowGraphBuilder, Node, NodeKind
from gradflow.graph.site import Site

WALK_LIMIT = 200_000
"""Autograd graphs with more nodes stay numbers: they are judged, not drawn."""

_KIND = {LIVE: EdgeKind.LIVE, INERT: EdgeKind.INERT, CUT: EdgeKind.CUT, REGION: EdgeKind.CUT}
_LABELS = {"data": ".data", "detach": ".detach()", "detach_": ".detach_()", "data =": ".data =", "Parameter": "nn.Parameter(...)"}


@dataclass(slots=True)
class PassGraph:
    """What one backward pass gives the graph: its root steps and, where it was kept, autograd's own graph."""

    roots: tuple[Step, ...]
    walk: Walk | None


class Assembler:
    """Builds one flow graph. `parameters` maps a leaf's serial to its parameter's index; `paths` a module's serial to its path."""

    def __init__(self, parameters: dict[int, int], names: list[str], paths: dict[int, str]) -> None:
        self.builder = FlowGraphBuilder()
        self.number: dict[int, int] = {}
        self._parameters = parameters
        self._names = names
        self._paths = paths
        self._live: set[tuple[int, int]] = set()
        self._joins: list[_Join] = []
        self._spans: list[tuple[int, int, int]] = []
        self._entering: dict[CodeType, frozenset[int]] = {}

    def build(self, passes: list[PassGraph], also: Iterable[Step]) -> FlowGraph:
        """The graph of everything that had a part in the passes' roots, in `also` (host values, parameters), and in autograd's graphs."""
        steps = steps_above([*(root for entry in passes for root in entry.roots), *also])
        walks = [entry.walk for entry in passes if entry.walk is not None and len(entry.walk.kinds) <= WALK_LIMIT]
        self._joins = joins = [_Join(walk, steps) for walk in walks]
        extra = sorted((key, index, node) for index, join in enumerate(joins) for key, node in join.unmatched)
        place = 0
        for position, step in enumerate(steps):
            while place < len(extra) and extra[place][0][0] < position:
                self._add_autograd(joins[extra[place][1]], extra[place][2])
                place += 1
            self._add_step(step)
        for _, index, node in extra[place:]:
            self._add_autograd(joins[index], node)
        self._entering = _entering_lines(steps)
        for step in steps:
            self._connect(step)
        self._spans = [(step.first, step.last, self.number[step.serial]) for step in steps if step.first >= 0]
        for join in joins:
            self._join(join)
        for entry in passes:
            self._mark_losses(entry, _find(joins, entry.walk))
        return self.builder.build()

    def node_of(self, walk: Walk | None, node: int, sequence: int) -> int:
        """The number of the flow node that explains a node of a walk, or the autograd node with that sequence number; -1 if none does."""
        join = next((join for join in self._joins if join.walk is walk), None)
        if join is not None:
            return self._node_number(join, node)
        return next((number for first, last, number in self._spans if first <= sequence < last), -1)

    def _add_step(self, step: Step) -> None:
        kind, parameter, label = step.kind, -1, step.name
        if step.leaf:
            parameter = self._parameters.get(step.leaf, -1)
            kind = NodeKind.PARAMETER if parameter >= 0 else NodeKind.INPUT
            label = self._names[parameter] if parameter >= 0 else "leaf"
        module = self._paths.get(step.module, "")
        site = self.builder.site(site_of(step.place, module))
        region = -1 if step.region is None else self._region_cut(step.region.outer or step.region)
        self.number[step.serial] = self.builder.node(
            Node(kind, label, module=module, site=site, parameter=parameter, region=region, step=step.pass_number)
        )

    def _region_cut(self, region: Region) -> int:
        site = region_site(region, self._paths.get(region.module, ""))
        return self.builder.cut(region.reason, site, region.label or _call_text(site), region=True)

    def _connect(self, step: Step) -> None:
        target = self.number[step.serial]
        inner = -1 if step.region is None else self._region_cut(step.region)
        own = -1
        for source, mark in zip(step.sources, step.marks, strict=True):
            cut = -1
            if mark == CUT:
                own = self._own_cut(step) if own < 0 else own
                cut = own
            elif mark == REGION:
                cut = inner
            start = self.number[source.serial]
            self.builder.edge(start, target, _KIND[mark], cut)
            if mark == LIVE:
                self._live.add((start, target))
        for host in step.hosts:
            left = self.number[host.serial]
            if left >= target or host in step.sources or host.place is None or step.place is None:
                continue
            if depends(step.place.code, host.place, step.place, self._entering.get(step.place.code, frozenset())):
                self.builder.edge(left, target, EdgeKind.INERT)

    def _own_cut(self, step: Step) -> int:
        site = site_of(step.place, self._paths.get(step.module, ""))
        label = _LABELS.get(step.name) or (f".{step.name}" if step.kind is NodeKind.HOST and step.name.endswith("()") else f"{step.name}()")
        return self.builder.cut(step.reason or CutReason.NO_DERIVATIVE, site, label)

    def _add_autograd(self, join: _Join, node: int) -> None:
        walk = join.walk
        join.numbers[node] = self.builder.node(Node(NodeKind.AUTOGRAD, walk.names[walk.kinds[node]], autograd=walk.names[walk.kinds[node]]))

    def _join(self, join: _Join) -> None:
        """Autograd's edges between nodes that steps explain are live edges already; all others are added."""
        numbers = [self._node_number(join, node) for node in range(len(join.walk.kinds))]
        nodes = self.builder.nodes
        for node, number in enumerate(numbers):
            if number >= 0 and nodes[number].kind is NodeKind.OPERATION and not nodes[number].autograd:
                name = join.walk.names[join.walk.kinds[node]]
                old = nodes[number]
                nodes[number] = Node(old.kind, old.label, old.module, old.site, old.parameter, old.region, name, old.step)
        for head, tail in zip(join.walk.heads, join.walk.tails, strict=True):
            start, end = numbers[tail], numbers[head]
            if 0 <= start < end and (start, end) not in self._live:
                self._live.add((start, end))
                self.builder.edge(start, end, EdgeKind.LIVE)

    def _node_number(self, join: _Join, node: int) -> int:
        if node in join.numbers:
            return join.numbers[node]
        step = join.matched.get(node)
        return -1 if step is None else self.number.get(step.serial, -1)

    def _mark_losses(self, entry: PassGraph, join: _Join | None) -> None:
        losses = [self.number[root.serial] for root in entry.roots]
        if not losses and join is not None and len(join.walk.kinds):
            losses = [self._node_number(join, 0)]
        for loss in losses:
            if loss >= 0 and loss not in self.builder.losses:
                self.builder.losses.append(loss)


class _Join:
    """Which autograd nodes of one walk the steps explain, by sequence number; `unmatched` are (order, node) of those they do not."""

    def __init__(self, walk: Walk, steps: list[Step]) -> None:
        self.walk = walk
        self.numbers: dict[int, int] = {}
        self.matched: dict[int, Step] = {}
        self.unmatched: list[tuple[tuple[int, int], int]] = []
        spans = sorted((step.first, position) for position, step in enumerate(steps) if step.first >= 0)
        firsts = array("q", [first for first, _ in spans])
        leaves = dict(zip(walk.leaf_nodes, walk.leaf_serials, strict=True))
        leaf_steps: dict[int, Step] = {}
        for step in steps:
            if step.leaf:
                leaf_steps.setdefault(step.leaf, step)
        for node, sequence in enumerate(walk.sequences):
            if node in leaves:
                if leaves[node] in leaf_steps:
                    self.matched[node] = leaf_steps[leaves[node]]
                continue
            index = bisect_right(firsts, sequence) - 1
            position = spans[index][1] if index >= 0 else -1
            if position >= 0 and steps[position].first <= sequence < steps[position].last:
                self.matched[node] = steps[position]
            else:
                self.unmatched.append(((position if position >= 0 else len(steps), sequence), node))


def _find(joins: list[_Join], walk: Walk | None) -> _Join | None:
    return next((join for join in joins if join.walk is walk), None)


def _entering_lines(steps: list[Step]) -> dict[CodeType, frozenset[int]]:
    """By function, the lines on which a computed number goes into a torch call."""
    found: dict[CodeType, set[int]] = {}
    for step in steps:
        if step.takes_number and step.place is not None:
            found.setdefault(step.place.code, set()).add(line_of(step.place))
    return {code: frozenset(lines) for code, lines in found.items()}


def _call_text(site: Site | None) -> str:
    """`.sample()` for the site of the call `dist.sample((3,))`."""
    if site is None:
        return "gradients switched off"
    text = site.source[site.column - 1 : site.end_column - 1] if site.line == site.end_line else site.source.strip()
    head = text.rsplit("(", 1)[0]
    return f".{head.rsplit('.', 1)[-1]}()" if "." in head else f"{head.strip()}()"
