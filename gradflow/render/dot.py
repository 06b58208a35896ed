"""A drawing as DOT text. Built with the `graphviz` package; which program draws it is not this module's business."""

from __future__ import annotations

import textwrap

import graphviz

from gradflow.render.dot_cards import card_label, excerpt_label, grid_label, legend_label, title_label
from gradflow.render.dot_foreign import add_foreign
from gradflow.render.markup import clean, shown
from gradflow.render.palette import PALETTES, Palette, Theme
from gradflow.verdict import Verdict
from gradflow.views.drawing import Arrow, Box, Card, Direction, Drawing, Excerpt, Flow, Frame, Grid, Join, Pill, Shape
from gradflow.views.words import clipped

FONT, BOLD = "Helvetica", "Helvetica-Bold"
_FLOW_VERDICT = {Flow.GRADIENT: Verdict.LIVE, Flow.ZERO: Verdict.ZERO, Flow.DEAD: Verdict.SEVERED}


def to_dot(drawing: Drawing, theme: Theme = Theme.LIGHT, *, heading: bool = True) -> str:
    """The drawing as DOT text, ended by a line feed. Without `heading` the title and the legend are left out: the page has them."""
    palette = PALETTES[theme]
    graph = graphviz.Digraph("gradflow", comment="")
    graph.comment = None
    graph.attr("graph", **_graph_attributes(drawing, palette, heading))
    graph.attr("node", fontname=FONT, fontcolor=palette.ink, fontsize="12")
    graph.attr("edge", fontname=FONT, fontsize="10")
    page = graphviz.Digraph("cluster_page")
    page.attr(style="invis", margin="8", labeljust="l", labelloc="t")
    # A cluster without a label of its own takes the graph's.
    page.attr(label=title_label(palette, *_heading(drawing)) if heading else "")
    _add_frames(page, drawing, palette)
    for arrow in drawing.arrows:
        page.edge(f"b{arrow.source}", f"b{arrow.target}", **_arrow_attributes(arrow, drawing, palette))
    if drawing.foreign is not None:
        add_foreign(page, drawing.foreign, palette, {flow: _flow_look(flow, palette) for flow in Flow})
    graph.subgraph(page)
    return str(graph.source)


def _graph_attributes(drawing: Drawing, palette: Palette, heading: bool) -> dict[str, str]:
    down = drawing.direction is Direction.DOWN
    attributes = {
        "bgcolor": palette.page,
        "rankdir": drawing.direction.value,
        "fontname": FONT,
        "fontcolor": palette.ink,
        "pad": ".25",
        "ranksep": "0.3" if down else "0.45",
        "nodesep": "0.45" if down else "0.3",
        "splines": "spline",
        "labelloc": "b",
        "labeljust": "c" if not down else "l",
    }
    if len(drawing.boxes) + (len(drawing.foreign.nodes) if drawing.foreign else 0) > 80:
        # Crossing minimisation takes most of the time of a big drawing, and its later rounds bring little.
        attributes |= {"mclimit": "0.3", "nslimit": "3", "nslimit1": "3"}
    if heading or any(isinstance(box.shape, Grid) for box in drawing.boxes):  # a page explains arrows and cards once, but no scale
        attributes["label"] = legend_label(palette, drawing)
    return attributes


def _heading(drawing: Drawing) -> tuple[list[str], list[str]]:
    """The lines of the title and of the subtitle, no wider than the drawing is likely to be."""
    down = drawing.direction is Direction.DOWN
    return _balanced(drawing.title, 56 if down else 90), _balanced(drawing.subtitle, 76 if down else 130)


def _balanced(text: str, width: int) -> list[str]:
    """`text` in as few lines of `width` characters as it needs, all about as long."""
    lines = textwrap.wrap(text, width)
    for narrower in range(max(len(text) // max(len(lines), 1), 1), width):
        again = textwrap.wrap(text, narrower)
        if len(again) == len(lines):
            return again
    return lines


def _add_frames(page: graphviz.Digraph, drawing: Drawing, palette: Palette) -> None:
    """Nests the frames, innermost first: a subgraph is copied when it is added."""
    clusters = [graphviz.Digraph(f"cluster_{number}") for number in range(len(drawing.frames))]
    for number, (cluster, frame) in enumerate(zip(clusters, drawing.frames, strict=True)):
        cluster.attr(**_frame_attributes(frame, palette, _room(drawing, number)))
    for number, box in enumerate(drawing.boxes):
        place = clusters[box.frame] if box.frame >= 0 else page
        place.node(f"b{number}", **_box_attributes(number, box, palette))
    for number in range(len(clusters) - 1, -1, -1):
        parent = drawing.frames[number].parent
        (clusters[parent] if parent >= 0 else page).subgraph(clusters[number])


def _room(drawing: Drawing, number: int) -> int:
    """How many letters of a frame's label find room beside the arrow that comes in from above, in the middle of the cards."""
    if drawing.direction is not Direction.DOWN:
        return 80
    inside = {number}
    for other, frame in enumerate(drawing.frames):
        if frame.parent in inside:
            inside.add(other)
    excerpts = [box.shape for box in drawing.boxes if box.frame in inside and isinstance(box.shape, Excerpt)]
    widest = max((max(len(excerpt.headline), *(len(text) + 8 for _, text, _ in excerpt.lines), 0) for excerpt in excerpts), default=0)
    return max(18, widest * 11 // 20)


def _frame_attributes(frame: Frame, palette: Palette, room: int) -> dict[str, str]:
    mark = palette.mark[Verdict.SEVERED]
    face, color = ("Courier", palette.text[Verdict.SEVERED]) if frame.region else (FONT, palette.muted)
    wide = len(frame.label) + len(frame.detail) + 3 <= room
    between = "&#160;&#160;&#160;" if wide or not frame.detail else '<BR ALIGN="LEFT"/>'
    words = [frame.label if len(frame.label) <= room + 2 else f"…{frame.label[-room:]}", clipped(frame.detail, room + 2)]
    if frame.region:
        words[0] = clipped(frame.label.removeprefix("with ").rstrip(":") if not wide else frame.label, room + 2)
    end = "" if wide or not frame.detail else '<BR ALIGN="LEFT"/>'
    size = "11" if wide or not frame.region else "9"
    label = f'<<FONT FACE="{face}" COLOR="{color}" POINT-SIZE="{size}">{shown(words[0])}{between}{shown(words[1])}{end}</FONT>>'
    return {
        "style": "dashed,rounded,filled" if frame.region else "rounded,filled",
        "color": mark if frame.region else palette.frame_line,
        "fillcolor": palette.region if frame.region else palette.frame,
        "penwidth": "2" if frame.region else "1",
        "margin": "12",
        "labeljust": "l",
        "labelloc": "t",
        "label": label,
    }


def _box_attributes(number: int, box: Box, palette: Palette) -> dict[str, str]:
    attributes = _shape_attributes(box.shape, palette)
    attributes["id"] = f"box{number}"
    if box.trunk:
        attributes["group"] = "trunk"
    return attributes


def _shape_attributes(shape: Shape, palette: Palette) -> dict[str, str]:
    match shape:
        case Card():
            return {"shape": "plain", "label": card_label(palette, shape)}
        case Excerpt():
            return {"shape": "plain", "label": excerpt_label(palette, shape)}
        case Grid():
            return {"shape": "plain", "label": grid_label(palette, shape)}
        case Join():
            return _join_attributes(shape, palette)
        case Pill():
            return _pill_attributes(shape, palette)


def _join_attributes(join: Join, palette: Palette) -> dict[str, str]:
    verdict = _FLOW_VERDICT.get(join.flow)
    color = palette.mark[verdict] if verdict else palette.line
    ink = palette.text[verdict] if verdict else palette.muted
    shared = {"color": color, "fontcolor": ink, "fillcolor": palette.card, "penwidth": "1.6"}
    if len(join.sign) == 1:
        round_ = {"shape": "circle", "width": ".26", "fixedsize": "true", "style": "filled", "fontname": BOLD}
        return {**round_, "label": _centred(join.sign), **shared}
    boxed = {"shape": "box", "style": "rounded,filled", "margin": "0.08,0.02", "height": ".26", "width": ".3", "fontsize": "10"}
    return {**boxed, "label": _centred(join.sign), **shared}


def _centred(text: str) -> str:
    """A plain label, which stays in the middle whatever font shows it; the text of an HTML label begins where Graphviz measured it to."""
    # `escape` marks its text as no HTML; made a plain `str`, a text in angle brackets would be taken as markup.
    label: str = graphviz.escape(clean(text).replace("&", "&amp;"))
    return label or " "


def _pill_attributes(pill: Pill, palette: Palette) -> dict[str, str]:
    size, color = ("12", palette.on_strong) if pill.strong else ("11", palette.ink)
    attributes = {
        "shape": "box",
        "style": "rounded,filled",
        "margin": "0.2,0.06" if pill.strong else "0.14,0.05",
        "fillcolor": palette.strong if pill.strong else palette.frame,
        "color": palette.strong if pill.strong else palette.line,
        "fontcolor": color,
        "fontsize": size,
        "fontname": BOLD if pill.strong else FONT,
        "label": _centred(pill.label),
    }
    if not pill.strong:
        attributes["height"] = ".3"
    if pill.detail:
        below = f'<FONT POINT-SIZE="9" COLOR="{palette.on_strong if pill.strong else palette.muted}">{shown(pill.detail)}</FONT>'
        attributes["label"] = f"<{shown(pill.label)}<BR/>{below}>"
    return attributes


def _arrow_attributes(arrow: Arrow, drawing: Drawing, palette: Palette) -> dict[str, str]:
    if arrow.tie:
        excerpt = drawing.boxes[arrow.source].shape
        color = palette.mark[excerpt.verdict] if isinstance(excerpt, Excerpt) else palette.line
        return {"color": color, "penwidth": "1.8", "style": "dotted", "arrowhead": "none"}
    attributes = _flow_look(arrow.flow, palette) | {"color": _arrow_color(arrow, drawing, palette)}
    if not arrow.head:
        attributes["arrowhead"] = "none"
    if arrow.skip:
        attributes["weight"] = "0"
    if arrow.label:
        attributes |= {"label": f" {arrow.label}", "fontcolor": palette.text[_FLOW_VERDICT.get(arrow.flow, Verdict.UNKNOWN)]}
    return attributes


def _flow_look(flow: Flow, palette: Palette) -> dict[str, str]:
    color = palette.mark[_FLOW_VERDICT[flow]] if flow in _FLOW_VERDICT else palette.line
    return {
        "color": color,
        **{
            Flow.GRADIENT: {"penwidth": "2.4", "arrowsize": ".8"},
            Flow.ZERO: {"penwidth": "2", "style": "dotted", "arrowsize": ".8"},
            Flow.DEAD: {"penwidth": "2.2", "style": "dashed", "arrowsize": ".8"},
            Flow.VALUE: {"penwidth": "1.1", "style": "dashed", "arrowsize": ".7"},
        }[flow],
    }


def _arrow_color(arrow: Arrow, drawing: Drawing, palette: Palette) -> str:
    source = drawing.boxes[arrow.source].shape
    if arrow.flow is Flow.VALUE and isinstance(source, Card) and source.verdict is Verdict.FROZEN:
        return palette.mark[Verdict.FROZEN]
    return palette.mark[_FLOW_VERDICT[arrow.flow]] if arrow.flow in _FLOW_VERDICT else palette.line
