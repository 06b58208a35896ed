"""The flow strip: a small model's modules in one line, in the order of the data, with a thick arrow where gradients come back.

Drawn only where it is the whole truth: one root, two to eight modules with parameters, each of which feeds just the next.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.text import Text

from gradflow.graph.blame import incoming, upstream
from gradflow.graph.flow import EdgeKind, FlowGraph, NodeKind
from gradflow.render.glyphs import VERDICT_STYLE, Glyphs
from gradflow.report import ParameterRow, Report
from gradflow.verdict import WORST_FIRST, Verdict

MOST_MODULES = 8


@dataclass(slots=True)
class Chain:
    """What the strip draws: the modules' paths, and for each the link to the next (the last one's: to the loss).

    `live[i]`: a gradient comes back over link i. `cut_lines[i]`: the lines of the cuts on link i, 0 for a cut of unknown place.
    """

    modules: list[str]
    live: list[bool] = field(default_factory=list)
    cut_lines: list[list[int]] = field(default_factory=list)


def flow_strip(report: Report, glyphs: Glyphs, show: Callable[[str], str]) -> Text | None:
    """The strip as one line, the modules' names made printable by `show`, or None where the model is no chain of a few modules."""
    chain = find_chain(report)
    if chain is None:
        return None
    text = Text.assemble("input ", (glyphs.value_arrow, "bright_black"))
    for place, module in enumerate(chain.modules):
        verdict = _verdict_of(report.parameters, module)
        text.append_text(Text.assemble(" [", (f"{glyphs.verdict[verdict]} {show(module)}", VERDICT_STYLE[verdict]), "] "))
        if chain.live[place]:
            text.append(glyphs.live_arrow, "green")
            continue
        if chain.cut_lines[place]:
            lines = ", ".join(str(line) for line in chain.cut_lines[place] if line)
            words = f" line{'s' if ',' in lines else ''} {lines} " if lines else " "
            text.append(f"{glyphs.cut_arrow}{words}", "bold red")
        text.append(glyphs.value_arrow, "bright_black")
    return text.append(" loss")


def find_chain(report: Report) -> Chain | None:
    """The modules between input and first loss, if they are a chain."""
    depth = _depth(report.parameters)
    if depth is None or not report.flow.losses or len({row.root for row in report.parameters}) != 1:
        return None
    wanted = {_path(row, depth) for row in report.parameters}
    return _Walk(report.flow, wanted, depth).chain()


def _owner(row: ParameterRow) -> str:
    return row.owner or row.name.rpartition(".")[0]


def _path(row: ParameterRow, depth: int) -> str:
    return ".".join(_owner(row).split(".")[:depth])


def _depth(rows: tuple[ParameterRow, ...]) -> int | None:
    """The least depth of module paths at which there is more than one module with parameters; None where there are too many or too few."""
    for depth in range(1, 5):
        count = len({_path(row, depth) for row in rows} - {""})
        if count > 1:
            return depth if count <= MOST_MODULES else None
    return None


def _verdict_of(rows: tuple[ParameterRow, ...], module: str) -> Verdict:
    inside = {row.verdict for row in rows if f"{_owner(row)}.".startswith(f"{module}.")}
    return next(verdict for verdict in WORST_FIRST if verdict in inside)


class _Walk:
    """One pass over the nodes upstream of the first loss, in capture order. Sets of modules are bit masks.

    `values[n]`: the modules whose output is in node n's value, without another module between; `live[n]`: those to which a gradient
    comes back from n.
    """

    def __init__(self, flow: FlowGraph, wanted: set[str], depth: int) -> None:
        self.flow = flow
        self.loss = flow.losses[0]
        self.modules: list[str] = []
        self.links: set[tuple[int, int]] = set()
        self.live_links: set[tuple[int, int]] = set()
        self.cuts: dict[int, set[int]] = {}
        self._wanted, self._depth = wanted, depth
        self._numbers: dict[str, int] = {}
        self._values = array("q", [0]) * len(flow.nodes)
        self._live = array("q", [0]) * len(flow.nodes)

    def chain(self) -> Chain | None:
        """The chain, or None where some module feeds another than the next, or was not run at all."""
        offsets, edges = incoming(self.flow)
        seen = upstream(self.flow, (self.loss,))
        for node in range(self.loss + 1):
            if seen[node] and self.flow.nodes[node].kind is not NodeKind.PARAMETER:
                self._visit(node, edges[offsets[node] : offsets[node + 1]])
        end = len(self.modules)
        self._join_loss(end)
        if end < 2 or self.links != {(place, place + 1) for place in range(end)}:
            return None
        return Chain(
            self.modules,
            [(place, place + 1) in self.live_links for place in range(end)],
            [sorted({self._line(cut) for cut in self.cuts.get(place, ())}) for place in range(end)],
        )

    def _module(self, node: int) -> int:
        path = ".".join(self.flow.nodes[node].module.split(".")[: self._depth])
        if path not in self._wanted or not path:
            return -1
        if path not in self._numbers:
            self._numbers[path] = len(self.modules)
            self.modules.append(path)
        return self._numbers[path]

    def _visit(self, node: int, edges: array[int]) -> None:
        values = live = 0
        for edge in edges:
            source = self.flow.sources[edge]
            values |= self._values[source]
            if self.flow.kind_of(edge) is EdgeKind.LIVE:
                live |= self._live[source]
            cut = self._cut_of(edge)
            if cut >= 0:
                for module in _bits(self._values[source]):
                    self.cuts.setdefault(module, set()).add(cut)
        module = self._module(node)
        if module >= 0:
            self.links.update((other, module) for other in _bits(values) if other != module)
            self.live_links.update((other, module) for other in _bits(live))
            values = live = 1 << module
        self._values[node], self._live[node] = values, live

    def _cut_of(self, edge: int) -> int:
        """The cut that is met on `edge`, -1 for none. A region is met where values leave it, and not at every operation in it."""
        left = self.flow.nodes[self.flow.sources[edge]].region
        if left >= 0 and left != self.flow.nodes[self.flow.targets[edge]].region:
            return left
        cut = self.flow.edge_cuts[edge]
        return -1 if cut < 0 or self.flow.cuts[cut].region else cut

    def _join_loss(self, end: int) -> None:
        self.links.update((module, end) for module in _bits(self._values[self.loss]))
        self.live_links.update((module, end) for module in _bits(self._live[self.loss]))

    def _line(self, cut: int) -> int:
        site = self.flow.cuts[cut].site
        return self.flow.sites[site].line if site >= 0 else 0


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
