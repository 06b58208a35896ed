"""The backward graph as it is: torchviz's own drawing where the report has it, else the same form by a loop of ours, which folds the
nodes of a line where there are many. What no gradient comes back to stands beside it, marked."""

from __future__ import annotations

from gradflow.errors import UsageError
from gradflow.graph.blame import incoming, upstream
from gradflow.graph.flow import EdgeKind, NodeKind
from gradflow.report import Report
from gradflow.views.backward import draw_backward
from gradflow.views.drawing import Arrow, Box, Card, Drawing, Excerpt, Flow, Join, Pill
from gradflow.views.excerpts import excerpt_at
from gradflow.views.shapes import described
from gradflow.views.subject import Subject
from gradflow.views.words import clipped, headline, norm_word, shape_word

MOST_BOXES = 200
MOST_RAW = 150
"""Up to so many nodes each is drawn; above, those of one line and module are one."""

Key = tuple[str, ...]


def draw_autograd(report: Report) -> Drawing:
    """The backward graph of the first loss.

    Raises:
        UsageError: where it is too large to be drawn, even with the nodes of a line as one.
    """
    subject = Subject(report)
    drawn = draw_backward(subject)
    if drawn is not None:
        return drawn
    flow = report.flow
    seen = upstream(flow, flow.losses[:1])
    numbers = [number for number in range(len(flow.nodes)) if seen[number]]
    keys = {number: _key(subject, number, folded=len(numbers) > MOST_RAW) for number in numbers}
    flows = _flows(subject, keys)
    order = list(dict.fromkeys([*keys.values(), *(key for pair in flows for key in pair)]))
    if len(order) > MOST_BOXES:
        raise UsageError(
            f"the backward graph has {len(numbers):,} nodes, too many to draw; `--view operations` or `module:NAME` shows a part"
        )
    place = {key: number for number, key in enumerate(order)}
    members: dict[Key, list[int]] = {}
    for number, key in keys.items():
        members.setdefault(key, []).append(number)
    boxes = tuple(Box(_shape(subject, key, members.get(key, []))) for key in order)
    arrows = [Arrow(place[source], place[target], kind, head=target[0] != "region") for (source, target), kind in flows.items()]
    words = f"the backward graph of one loss, {len(numbers):,} nodes" + (", those of a line as one" if len(numbers) > MOST_RAW else "")
    return Drawing(headline(report), words, boxes, tuple(arrows), description=described(boxes)).check()


def _key(subject: Subject, number: int, *, folded: bool) -> Key:
    flow = subject.report.flow
    node = flow.nodes[number]
    if node.kind is NodeKind.PARAMETER:
        name = subject.report.parameters[node.parameter].name
        return ("parameter", subject.tree.owner(node.parameter), name.rpartition(".")[2]) if folded else ("parameter", name)
    if number in flow.losses[:1]:
        return ("node", str(number))
    if number in subject.stops:
        file, line = subject.stops[number]
        return ("region", file, str(line))
    if not folded:
        return ("node", str(number))
    site = flow.site_of(number)
    return ("line", subject.tree.canonical(node.module), node.label, f"{site.file}:{site.line}" if site else "")


def _shape(subject: Subject, key: Key, numbers: list[int]) -> Card | Excerpt | Pill | Join:
    report, state = subject.report, subject.state
    if key[0] == "region":
        return excerpt_at(report, state.marks[key[1], int(key[2])])
    node = report.flow.nodes[numbers[0]]
    if node.kind is NodeKind.PARAMETER:
        row = report.parameters[node.parameter]
        rows = [report.parameters[flow_number] for flow_number in dict.fromkeys(report.flow.nodes[one].parameter for one in numbers)]
        words = f"{row.verdict.glyph} {norm_word(row) if len(rows) == 1 else row.verdict.value}"
        modules = tuple(dict.fromkeys(one.owner for one in rows if one.owner))
        return Card(row.name, shape_word(row.shape), row.verdict, (), row.elements, times=len(rows), note=words, modules=modules)
    if numbers[0] in report.flow.losses[:1]:
        return Pill(clipped(node.autograd or node.label, 40), strong=True)
    if state.arrives[numbers[0]]:
        return Join(clipped(node.autograd or node.label, 40), Flow.GRADIENT)
    flow = Flow.DEAD if state.tainted[numbers[0]] else Flow.VALUE
    return Join(clipped(f"{node.label}: no backward node" if not node.autograd else node.autograd, 40), flow)


def _flows(subject: Subject, keys: dict[int, Key]) -> dict[tuple[Key, Key], Flow]:
    flow, state = subject.report.flow, subject.state
    offsets, edges = incoming(flow)
    found: dict[tuple[Key, Key], Flow] = {}
    for number, key in keys.items():
        for edge in edges[offsets[number] : offsets[number + 1]]:
            source = flow.sources[edge]
            if source not in keys or keys[source] == key:
                continue
            live = flow.kind_of(edge) is EdgeKind.LIVE
            kind = Flow.GRADIENT if live and state.arrives[number] else Flow.DEAD if live or state.tainted[source] else Flow.VALUE
            region = flow.nodes[source].region
            if region in state.cut_marks and region != flow.nodes[number].region:
                file, line = state.cut_marks[region]
                gate: Key = ("region", file, str(line))
                for pair in ((keys[source], gate), (gate, key)):
                    if pair[0] != pair[1]:
                        _join(found, pair, kind)
            else:
                _join(found, (keys[source], key), kind)
    return found


def _join(found: dict[tuple[Key, Key], Flow], pair: tuple[Key, Key], kind: Flow) -> None:
    if pair not in found or list(Flow).index(kind) < list(Flow).index(found[pair]):
        found[pair] = kind
