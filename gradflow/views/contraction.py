"""The flow graph contracted to what is drawn: closed modules, lines that use parameters, joins, cuts and losses. All walks are loops.

Every node belongs to a unit or is passed through. What a node is in depends on which modules are open, so this runs once for each choice.
Steps of a training run, and time steps of a recurrent net, fall together, since a unit is named by its module and line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gradflow.graph.blame import incoming
from gradflow.graph.flow import EdgeKind, FlowGraph, Node, NodeKind
from gradflow.views.drawing import Flow
from gradflow.views.flow_state import FlowState, Place
from gradflow.views.module_tree import ModuleTree, ancestors

Unit = tuple[str, ...]
"""A kind (`module`, `line`, `own`, `join`, `op`, `cut`, `loss`, `input`), then what names it among those of its kind."""

INPUT: Unit = ("input",)
_ELEMENTWISE = frozenset({"add", "iadd", "__add__", "sub", "mul", "div", "cat", "stack", "concat", "where", "lerp", "maximum", "minimum"})
"""Calls that treat their inputs alike: a branch that carries no gradient is a branch all the same."""
_RANK = {flow: rank for rank, flow in enumerate(reversed(Flow))}


@dataclass(slots=True)
class Contracted:
    """Units in the order in which they were first met, with the nodes in each, and the strongest flow between two.

    `parameters` holds, by unit, the parameters that are shown in it without belonging to its module as a whole; `uses` those of other
    modules that it takes; `calls` how often it runs in a step; `inside` the region (a cut's number) in which all of its nodes lie.
    """

    units: dict[Unit, list[int]] = field(default_factory=dict)
    flows: dict[tuple[Unit, Unit], Flow] = field(default_factory=dict)
    parameters: dict[Unit, list[int]] = field(default_factory=dict)
    uses: dict[Unit, dict[int, None]] = field(default_factory=dict)
    calls: dict[Unit, int] = field(default_factory=dict)
    inside: dict[Unit, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Stream:
    """How the value of a unit comes to a node: `unbroken` by a gradient, `tainted` by a dead parameter, `minor` as an index or a mask."""

    unbroken: bool
    tainted: bool
    minor: bool

    def joined(self, other: _Stream) -> _Stream:
        return _Stream(self.unbroken or other.unbroken, self.tainted or other.tainted, self.minor and other.minor)


def contract(flow: FlowGraph, state: FlowState, tree: ModuleTree, opened: set[str], *, every: bool = False) -> Contracted:
    """What is drawn of `flow` where the modules in `opened` (canonical paths) are open; with `every`, all calls in them are units."""
    return _Contraction(flow, state, tree, opened, every).run()


class _Contraction:
    def __init__(self, flow: FlowGraph, state: FlowState, tree: ModuleTree, opened: set[str], every: bool) -> None:
        self._every = every
        self._flow, self._state, self._tree, self._opened = flow, state, tree, opened
        self._out = Contracted()
        self._homes: dict[str, str | None] = {}
        self._placed: dict[int, Unit] = {}
        self._losses = frozenset(flow.losses)
        self._streams: list[dict[Unit, _Stream]] = [{}] * len(flow.nodes)
        self._calls: dict[Unit, Counter[tuple[int, int]]] = {}
        self._regions: dict[Unit, set[int]] = {}
        self._cut_edges: dict[int, list[int]] = {}
        for edge, cut in enumerate(flow.edge_cuts):
            if cut in state.cut_marks and not flow.cuts[cut].region:
                self._cut_edges.setdefault(flow.targets[edge], []).append(cut)

    def run(self) -> Contracted:
        offsets, edges = incoming(self._flow)
        for number, node in enumerate(self._flow.nodes):
            if self._state.shown[number] and node.kind is not NodeKind.PARAMETER:
                self._visit(number, node, edges[offsets[number] : offsets[number + 1]].tolist())
        self._place_the_rest()
        self._drop_dead_ends()
        if INPUT in self._out.units:
            self._out.units = {INPUT: [], **self._out.units}
        for unit, counts in self._calls.items():
            self._out.calls[unit] = max(counts.values())
        for unit, regions in self._regions.items():
            if len(regions) == 1 and unit[0] in ("module", "line", "join", "op"):
                self._out.inside[unit] = regions.pop()
        return self._out

    def home(self, path: str) -> str | None:
        """The closed module that swallows what runs at `path`, None where all round it are open."""
        if path not in self._homes:
            around = ancestors(self._tree.canonical(path))
            closed = (module for module in around if self._tree.branch(module) is not None and module not in self._opened)
            self._homes[path] = next(closed, None)
        return self._homes[path]

    def _visit(self, number: int, node: Node, edges: list[int]) -> None:
        taken = [self._flow.nodes[self._flow.sources[edge]].parameter for edge in edges]
        parameters = list(dict.fromkeys(parameter for parameter in taken if parameter >= 0))
        data = [edge for edge, parameter in zip(edges, taken, strict=True) if parameter < 0]
        streams = self._streams_into(number, node, data)
        unit = self._unit(number, node, parameters, streams)
        if unit is None:
            self._streams[number] = streams
            return
        self._enter(unit, number, node)
        self._take(unit, number, parameters)
        for source, stream in streams.items():
            self._connect(source, unit, self._flow_of(stream, number))
        if not data and unit[0] == "module":
            self._connect(INPUT, unit, Flow.VALUE)
        if number in self._losses and unit[0] != "loss":
            loss = self._loss_unit(node)
            self._enter(loss, number, node)
            self._connect(unit, loss, Flow.GRADIENT)
        self._streams[number] = {unit: _Stream(True, bool(self._state.tainted[number]), False)}

    def _streams_into(self, number: int, node: Node, edges: list[int]) -> dict[Unit, _Stream]:
        """The units whose values come to this node, through what is passed over and out of the regions that end here."""
        found: dict[Unit, _Stream] = {}
        elementwise = node.label.strip("_") in _ELEMENTWISE or node.label in _ELEMENTWISE
        for edge in edges:
            source, kind = self._flow.sources[edge], self._flow.kind_of(edge)
            streams = self._streams[source]
            if not streams and self._flow.nodes[source].kind is NodeKind.INPUT:
                streams = {INPUT: _Stream(False, False, False)}
            gate = self._region_left(source, node)
            if gate is not None and streams:
                tainted = bool(self._state.tainted[source])
                self._enter(gate, source, self._flow.nodes[source])
                for unit, stream in streams.items():
                    self._connect(unit, gate, Flow.DEAD if stream.tainted or tainted else Flow.VALUE)
                streams = {gate: _Stream(False, tainted, False)}
            minor = kind is EdgeKind.INERT and not elementwise and len(edges) > 1
            for unit, stream in streams.items():
                tainted = bool(self._state.tainted[source])
                passed = _Stream(stream.unbroken and kind is EdgeKind.LIVE, stream.tainted or tainted, stream.minor or minor)
                found[unit] = found[unit].joined(passed) if unit in found else passed
        return found

    def _region_left(self, source: int, target: Node) -> Unit | None:
        region = self._flow.nodes[source].region
        if region < 0 or region == target.region or region not in self._state.cut_marks:
            return None
        # One card for the whole region, however many modules run in it: it stands in the module whose code opens it.
        site = self._flow.sites[self._flow.cuts[region].site]
        inside = self._flow.nodes[source].module
        return self._cut_unit(self._state.cut_marks[region], site.module if _is_inside(inside, site.module) else inside)

    def _unit(self, number: int, node: Node, parameters: list[int], streams: dict[Unit, _Stream]) -> Unit | None:
        if number in self._state.node_marks:
            return self._cut_unit(self._state.node_marks[number], node.module)
        home = self.home(node.module)
        if home is not None:
            return ("module", home)
        if number in self._cut_edges:
            return self._cut_unit(self._state.cut_marks[self._cut_edges[number][0]], node.module)
        if number in self._losses:
            return self._loss_unit(node)
        if parameters:
            # A module that holds none of its own (a tied head) is a card by its name, functional code by its line.
            is_module = bool(node.module) and self._tree.branch(self._tree.canonical(node.module)) is None
            return ("line", self._tree.canonical(node.module), *(("", "0") if is_module else self._line(node)))
        if self._every and node.kind is not NodeKind.INPUT:
            return ("op", self._tree.canonical(node.module), *self._line(node), node.label)
        if sum(not stream.minor for stream in streams.values()) > 1:
            return ("join", self._tree.canonical(node.module), *self._line(node))
        return None

    def _cut_unit(self, place: Place, module: str) -> Unit:
        return ("cut", place[0], str(place[1]), self._tree.canonical(module))

    def _loss_unit(self, node: Node) -> Unit:
        return ("loss", node.label, *self._line(node))

    def _line(self, node: Node) -> tuple[str, str]:
        if node.site < 0:
            return ("", "0")
        site = self._flow.sites[node.site]
        return (site.file, str(site.line))

    def _enter(self, unit: Unit, number: int, node: Node) -> None:
        self._out.units.setdefault(unit, []).append(number)
        self._regions.setdefault(unit, set()).add(node.region if node.region in self._state.cut_marks else -1)

    def _take(self, unit: Unit, number: int, parameters: list[int]) -> None:
        if parameters and unit[0] == "module":
            self._calls.setdefault(unit, Counter())[parameters[0], self._flow.nodes[number].step] += 1
        for parameter in parameters:
            owner = self._tree.owner(parameter)
            if unit[0] == "module" and _is_inside(owner, unit[1]):
                continue
            belongs = self.home(owner)
            if parameter not in self._placed and belongs is None and unit[0] in ("line", "loss"):
                self._placed[parameter] = unit
                self._out.parameters.setdefault(unit, []).append(parameter)
            elif belongs is None and parameter not in self._placed:
                self._own_card(parameter, unit, number)
            elif self._placed.get(parameter) != unit:
                self._out.uses.setdefault(unit, {})[parameter] = None

    def _own_card(self, parameter: int, unit: Unit, number: int) -> None:
        """A parameter of an open module that goes straight into a closed one: it has a card of its own, and an arrow."""
        own: Unit = ("own", self._tree.owner(parameter))
        self._out.units.setdefault(own, [])
        self._out.parameters.setdefault(own, []).append(parameter)
        self._placed[parameter] = own
        live = self._state.arrives[number]
        self._connect(own, unit, Flow.GRADIENT if live else Flow.DEAD if self._state.tainted[number] else Flow.VALUE)

    def _place_the_rest(self) -> None:
        """Cards for what no operation took: closed modules that were not run, and parameters of open ones that were not used."""
        for number in range(len(self._tree.rows)):
            owner = self._tree.owner(number)
            home = self.home(owner)
            if home is not None:
                self._out.units.setdefault(("module", home), [])
            elif number not in self._placed:
                own: Unit = ("own", owner)
                self._out.units.setdefault(own, [])
                self._out.parameters.setdefault(own, []).append(number)

    def _drop_dead_ends(self) -> None:
        """Drops lines that show no parameter and feed no unit: what only writes parameters (a copy, an average) is no way to the loss."""
        idle = [unit for unit in self._out.units if unit[0] in ("line", "join", "op") and not self._out.parameters.get(unit)]
        feeds = Counter(source for source, _ in self._out.flows)
        while idle:
            gone = {unit for unit in idle if not feeds[unit]}
            if not gone:
                return
            idle = [unit for unit in idle if unit not in gone]
            for pair in [pair for pair in self._out.flows if pair[1] in gone]:
                del self._out.flows[pair]
                feeds[pair[0]] -= 1
            for unit in gone:
                del self._out.units[unit]

    def _flow_of(self, stream: _Stream, target: int) -> Flow:
        if stream.unbroken and self._state.arrives[target]:
            return Flow.GRADIENT
        # Autograd connects the two, and still nothing arrives: the gradient was cut off further on.
        return Flow.DEAD if stream.tainted or stream.unbroken else Flow.VALUE

    def _connect(self, source: Unit, target: Unit, flow: Flow) -> None:
        if source == target:
            return
        if source == INPUT:
            self._out.units.setdefault(INPUT, [])
        known = self._out.flows.get((source, target))
        if known is None or _RANK[flow] > _RANK[known]:
            self._out.flows[source, target] = flow


def _is_inside(path: str, module: str) -> bool:
    return not module or path == module or path.startswith(module + ".")
