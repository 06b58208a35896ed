"""What torchviz drew as DOT, in the form that torchviz gives it and in our colours."""

from __future__ import annotations

import graphviz

from gradflow.render.markup import clean
from gradflow.render.palette import Palette
from gradflow.verdict import Verdict
from gradflow.views.drawing import Flow, Foreign, ForeignNode, Tone

FORM = {"shape": "box", "style": "filled", "fontname": "Courier", "fontsize": "10", "height": "0.2", "margin": "0.08,0.03"}


def add_foreign(page: graphviz.Digraph, foreign: Foreign, palette: Palette, looks: dict[Flow, dict[str, str]]) -> None:
    """Adds its nodes and arrows to `page`, and our arrows into it; `looks` gives the attributes of an arrow by what comes back over it."""
    for node in foreign.nodes:
        page.node(node.name, **_attributes(node, palette))
    for source, target, style in foreign.arrows:
        extra = {"": {}, "none": {"arrowhead": "none"}, "dotted": {"style": "dotted"}}[style]
        page.edge(source, target, color=palette.mark[Verdict.LIVE], penwidth="1.4", arrowsize=".7", **extra)
    for box, name, flow in foreign.links:
        page.edge(f"b{box}", name, **looks[flow])


def _attributes(node: ForeignNode, palette: Palette) -> dict[str, str]:
    fill, line, ink = palette.frame, palette.line, palette.ink
    label = node.label
    if node.verdict is not None:
        fill, line, ink = palette.tint[node.verdict], palette.mark[node.verdict], palette.text[node.verdict]
        label = f"{node.verdict.glyph} {label}"
    elif node.tone is Tone.LOSS:
        fill, line, ink = palette.strong, palette.strong, palette.on_strong
        label = f"loss {label}"
    # `escape` marks its text as no HTML, and keeps line breaks only as the two characters that DOT has for one.
    text = str(graphviz.escape(clean(label).replace("&", "&amp;"))).replace("\n", "\\n")
    return {**FORM, "label": text or " ", "fillcolor": fill, "color": line, "fontcolor": ink}
