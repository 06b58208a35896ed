"""torchviz's drawing of the backward graph, and what it leaves out: the parameters that no gradient comes back to, and the cuts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gradflow.graph.blame import outgoing, upstream
from gradflow.graph.flow import EdgeKind, NodeKind
from gradflow.report import ParameterRow, Report
from gradflow.verdict import Verdict
from gradflow.views.drawing import Arrow, Box, Card, Drawing, Flow, Foreign, ForeignNode, Row, Tone
from gradflow.views.excerpts import excerpt_at
from gradflow.views.flow_state import Place
from gradflow.views.layout import forward_edges, ranks
from gradflow.views.module_tree import ancestors
from gradflow.views.shapes import described
from gradflow.views.subject import Subject
from gradflow.views.words import counts_of, headline, norm_word, plural, shape_word, worst_of

MOST_CARDS = 8
"""Cards of dead parameters beside the drawing; above, those of a module and all modules in it are one."""
MOST_LENGTH = 20_000
"""Ranks that all arrows together may pass. Graphviz takes 4 seconds for 9,000 and more than 15 for 50,000 of them: a node in each."""
_MOST_ROWS = 6
_NODE = re.compile(r'(\w+) \[label=(?:"((?:[^"\\]|\\.)*)"|(\w+))(?: fillcolor=(\w+))?\]')
_ARROW = re.compile(r"(\w+) -> (\w+)(?: \[(?:dir=(none)|style=(dotted))\])?")
_TONES = {"darkolivegreen1": Tone.LOSS, "darkolivegreen3": Tone.KEPT, "orange": Tone.KEPT}

Anchor = str | Place
"""Where a dead value ends: a node of the drawing, or the place of a finding."""


def draw_backward(subject: Subject) -> Drawing | None:
    """torchviz's drawing with our marks, None where the report has none or it would take Graphviz too long."""
    report = subject.report
    nodes, arrows = _read(report)
    if not nodes or _length(nodes, arrows) > MOST_LENGTH:
        return None
    marks = _Marks(subject)
    marks.sweep()
    boxes, ties, links = marks.boxes()
    numbers = len(report.flow.backward.explains)
    words = f"the backward graph of one loss as torchviz draws it, {plural(numbers, 'node')}; beside it what no gradient comes back to"
    words = words if boxes else words.partition(";")[0]
    foreign = Foreign(nodes, arrows, links)
    return Drawing(headline(report), words, boxes, ties, description=described(boxes), foreign=foreign).check()


def _read(report: Report) -> tuple[tuple[ForeignNode, ...], tuple[tuple[str, str, str], ...]]:
    """(nodes, arrows) of torchviz's statements. What is of another form is left out: a report may come from anywhere."""
    nodes, arrows = [], []
    for line in report.flow.backward.statements:
        if match := _NODE.fullmatch(line):
            name, quoted, word, color = match.groups()
            label = word if quoted is None else re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], quoted)
            number = int(name[1:]) if re.fullmatch(r"p\d{1,9}", name) else -1
            verdict = report.parameters[number].verdict if 0 <= number < len(report.parameters) else None
            nodes.append(ForeignNode(name, label.strip(), _TONES.get(color or "", Tone.NODE), verdict))
        elif match := _ARROW.fullmatch(line):
            arrows.append((match[1], match[2], match[3] or match[4] or ""))
    known = {node.name for node in nodes}
    return tuple(nodes), tuple(arrow for arrow in arrows if arrow[0] in known and arrow[1] in known)


def _length(nodes: Sequence[ForeignNode], arrows: Sequence[tuple[str, str, str]]) -> int:
    """How many ranks the arrows pass together."""
    names = [node.name for node in nodes]
    forward = forward_edges(names, [(source, target) for source, target, _ in arrows])
    rank = ranks(names, forward)
    return sum(rank[target] - rank[source] for source, target in forward)


class _Marks:
    """What stands beside the drawing: for each value without a gradient, the nodes of the drawing or the cuts at which it ends."""

    def __init__(self, subject: Subject) -> None:
        self._subject, self._flow, self._state = subject, subject.report.flow, subject.state
        self._stops = subject.stops
        self._ends: dict[int, frozenset[Anchor]] = {}
        self._after: dict[Place, set[Anchor]] = {}
        self._named: dict[int, str] = {}
        for number, node in enumerate(self._flow.backward.explains):
            self._named.setdefault(node, f"n{number}")  # the walk began at the loss: the first is where the call's value comes out

    def sweep(self) -> None:
        """Finds the ends of every value that has a part in the loss, from the loss back: edges go to higher numbers."""
        flow = self._flow
        offsets, edges = outgoing(flow)
        seen = upstream(flow, flow.losses[:1])
        for number in range(len(flow.nodes) - 1, -1, -1):
            if not seen[number]:
                continue
            if self._state.arrives[number] and number in self._named:
                self._ends[number] = frozenset({self._named[number]})
                continue
            ways = (self._gate(edge) for edge in edges[offsets[number] : offsets[number + 1]] if seen[flow.targets[edge]])
            ends = frozenset(end for way in ways for end in way)
            self._ends[number] = self._through(self._stops[number], ends) if number in self._stops else ends

    def _gate(self, edge: int) -> frozenset[Anchor]:
        """The ends of what goes over an edge: a marked region that it leaves comes first."""
        flow = self._flow
        source, target = flow.sources[edge], flow.targets[edge]
        ends = self._ends.get(target, frozenset())
        region = flow.nodes[source].region
        leaves = region in self._state.cut_marks and region != flow.nodes[target].region
        return self._through(self._state.cut_marks[region], ends) if leaves and flow.kind_of(edge) is not EdgeKind.LIVE else ends

    def _through(self, place: Place, ends: frozenset[Anchor]) -> frozenset[Anchor]:
        self._after.setdefault(place, set()).update(ends - {place})
        return frozenset({place})

    def boxes(self) -> tuple[tuple[Box, ...], tuple[Arrow, ...], tuple[tuple[int, str, Flow], ...]]:
        """(cards of dead parameters and of cuts, arrows between them, arrows from them into the drawing)."""
        groups = self._groups()
        met = {end for _, ends in groups for end in ends if not isinstance(end, str)}
        places = sorted(met | {place for place in self._after if self._state.marks[place].findings})
        boxes = [Box(_card(owner, rows)) for (owner, _), rows in groups.items()]
        number = {place: len(boxes) + index for index, place in enumerate(places)}
        boxes += [Box(excerpt_at(self._subject.report, self._state.marks[place])) for place in places]
        pairs = [(index, end, _flow(rows)) for index, ((_, ends), rows) in enumerate(groups.items()) for end in _sorted(ends)]
        pairs += [(number[place], end, Flow.DEAD) for place in places for end in _sorted(self._after[place])]
        ties = tuple(Arrow(source, number[end], flow) for source, end, flow in pairs if not isinstance(end, str) and end in number)
        return tuple(boxes), ties, tuple((source, end, flow) for source, end, flow in pairs if isinstance(end, str))

    def _groups(self) -> dict[tuple[str, frozenset[Anchor]], list[ParameterRow]]:
        """The parameters that the drawing leaves out, by the module that holds them and where their values end."""
        report = self._subject.report
        drawn = {int(line[1:].split(" ")[0]) for line in self._flow.backward.statements if re.match(r"p\d{1,9} \[", line)}
        ends: dict[int, frozenset[Anchor]] = {}
        for number, node in enumerate(self._flow.nodes):
            if node.kind is NodeKind.PARAMETER and node.parameter not in drawn:
                ends[node.parameter] = ends.get(node.parameter, frozenset()) | self._ends.get(number, frozenset())
        missing = [number for number, row in enumerate(report.parameters) if number not in drawn and row.verdict is not Verdict.LIVE]
        for depth in range(max((len(ancestors(report.parameters[number].owner)) for number in missing), default=1), 0, -1):
            found: dict[tuple[str, frozenset[Anchor]], list[ParameterRow]] = {}
            for number in missing:
                owner = ancestors(report.parameters[number].owner)[:depth][-1]
                found.setdefault((owner, ends.get(number, frozenset())), []).append(report.parameters[number])
            if len(found) <= MOST_CARDS:
                break
        return dict(list(found.items())[:MOST_CARDS]) if missing else {}


def _card(owner: str, rows: list[ParameterRow]) -> Card:
    detail = tuple(Row(row.name.rpartition(".")[2], shape_word(row.shape), row.verdict, norm_word(row)) for row in rows)
    title = owner or (rows[0].name if len(rows) == 1 else "parameters")
    own = {row.owner_class for row in rows if row.owner == owner}
    return Card(
        title=title,
        kind=own.pop() if len(own) == 1 and len({row.owner for row in rows}) == 1 else "",
        verdict=worst_of(row.verdict for row in rows),
        counts=counts_of(rows),
        elements=sum(row.elements for row in rows),
        rows=detail if len(rows) <= _MOST_ROWS and len({row.owner for row in rows}) == 1 else (),
        modules=tuple(dict.fromkeys(row.owner for row in rows if row.owner)),
    )


def _flow(rows: Iterable[ParameterRow]) -> Flow:
    return Flow.DEAD if any(row.requires_grad for row in rows) else Flow.VALUE


def _sorted(ends: Iterable[Anchor]) -> Iterator[Anchor]:
    return iter(sorted(ends, key=lambda end: (isinstance(end, str), str(end))))
