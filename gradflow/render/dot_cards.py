"""The tables that Graphviz draws as cards: modules, findings, the title, the legend, the heat map. Each function returns one label."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.render.markup import code, shown
from gradflow.render.palette import LINE_STYLE, MEANING, Palette
from gradflow.verdict import Verdict
from gradflow.views.drawing import Card, Drawing, Excerpt, Flow, Grid, Row
from gradflow.views.words import clipped, size_word

_PLAIN = 'BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING'
_BAR = 150  # points
_LONGEST = 34  # characters of a module's title
_NARROW = 11  # characters of a class name beside a title that is long


def card_label(palette: Palette, card: Card) -> str:
    """A module: its name and class, then a row for each parameter, or a bar with the counts under it."""
    mark, text = palette.mark[card.verdict], palette.text[card.verdict]
    title = f"<B>{shown(clipped(card.title, _LONGEST))}</B>&#160;&#160;"
    right = ", ".join(word for word in (clipped(card.kind, 32), card.note) if word)
    kind = f'<FONT COLOR="{palette.muted}" POINT-SIZE="10">{shown(right)}</FONT>' if right else ""
    body = _rows(palette, card.rows) if card.rows else _bar(palette, card)
    span = max(len(card.rows), 2 if card.counts else 0) + 1
    columns = 3 if card.rows else 1
    head = (
        f'<TR><TD ROWSPAN="{span}" BGCOLOR="{mark}" WIDTH="7" CELLPADDING="0"></TD>'
        f'<TD COLSPAN="{columns}" ALIGN="LEFT">{title}</TD><TD ALIGN="RIGHT">{kind}</TD></TR>'
    )
    style = f' STYLE="{LINE_STYLE[card.verdict]}"' if LINE_STYLE[card.verdict] != "solid" else ""
    border = f'BORDER="1"{style} COLOR="{mark}" BGCOLOR="{palette.card}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3"'
    table = f"<TABLE {border}>{head}{body}</TABLE>"
    if card.times > 1:
        sign = f'<FONT COLOR="{text}" POINT-SIZE="14"><B>×{card.times}</B></FONT>'
        times = f'<TD WIDTH="{18 + 11 * len(str(card.times))}" BGCOLOR="{palette.frame}" BORDER="1" COLOR="{mark}">{sign}</TD>'
        table = f'<TABLE {_PLAIN}="0"><TR><TD>{table}</TD>{times}</TR></TABLE>'
    return f"<{table}>"


def _rows(palette: Palette, rows: Sequence[Row]) -> str:
    return "".join(_row(palette, row) for row in rows)


def _row(palette: Palette, row: Row) -> str:
    tint, text = palette.tint[row.verdict], palette.text[row.verdict]
    return (
        f'<TR><TD BGCOLOR="{tint}" WIDTH="14"><FONT POINT-SIZE="10" COLOR="{text}"><B>{row.verdict.glyph}</B></FONT></TD>'
        f'<TD ALIGN="LEFT" BGCOLOR="{tint}"><FONT POINT-SIZE="10">{shown(clipped(row.name, 28))}</FONT></TD>'
        f'<TD ALIGN="LEFT" BGCOLOR="{tint}"><FONT POINT-SIZE="10" COLOR="{palette.muted}">{shown(row.shape)}</FONT></TD>'
        f'<TD ALIGN="RIGHT" BGCOLOR="{tint}"><FONT POINT-SIZE="10" COLOR="{text}">{shown(row.word)}</FONT></TD></TR>'
    )


def _bar(palette: Palette, card: Card) -> str:
    """A bar shared out by number of parameters, then the counts in words and the number of elements."""
    if not card.counts:
        return ""
    total = sum(count for _, count in card.counts)
    widths = [max(6, round(_BAR * count / total)) for _, count in card.counts]
    widths[widths.index(max(widths))] += _BAR - sum(widths)
    cells = "".join(
        f'<TD BGCOLOR="{palette.mark[verdict]}" WIDTH="{width}" HEIGHT="6"></TD>'
        for (verdict, _), width in zip(card.counts, widths, strict=True)
    )
    words = "".join(_count(palette, verdict, count) for verdict, count in card.counts)
    size = f'<FONT POINT-SIZE="10" COLOR="{palette.muted}">{size_word(card.elements)}</FONT>'
    return (
        f'<TR><TD COLSPAN="2"><TABLE {_PLAIN}="0"><TR>{cells}</TR></TABLE></TD></TR>'
        f'<TR><TD ALIGN="LEFT"><TABLE {_PLAIN}="1"><TR>{words}</TR></TABLE></TD><TD ALIGN="RIGHT">{size}</TD></TR>'
    )


def _count(palette: Palette, verdict: Verdict, count: int) -> str:
    font = f'<FONT POINT-SIZE="10" COLOR="{palette.text[verdict]}">'
    return f'<TD ALIGN="LEFT">{font}<B>{verdict.glyph}</B> {count:,} {verdict.value}&#160;</FONT></TD>'


def excerpt_label(palette: Palette, excerpt: Excerpt) -> str:
    """A finding: a bar with the headline, the place, and the user's lines with the guilty one lit."""
    mark = palette.mark[Verdict.UNUSED if excerpt.intended else excerpt.verdict]
    glyph = "" if excerpt.intended or not excerpt.on_path else f"{excerpt.verdict.glyph} "
    head = f'<FONT COLOR="{palette.on_mark}" POINT-SIZE="11"><B>{glyph}{shown(excerpt.headline)}</B></FONT>'
    place = f'<FONT COLOR="{palette.muted}" POINT-SIZE="9">{shown(excerpt.place)}</FONT>'
    width = max((len(str(line)) for line, _, _ in excerpt.lines), default=1)
    lines = "".join(_source_line(palette, f"{line:>{width}}", text, lit) for line, text, lit in excerpt.lines)
    places = f'<TR><TD ALIGN="LEFT" CELLPADDING="3">{place}</TD></TR>' if excerpt.place else ""
    border = 2 if excerpt.on_path else 1
    return (
        f'<<TABLE BORDER="{border}" COLOR="{mark}" BGCOLOR="{palette.card}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">'
        f'<TR><TD BGCOLOR="{mark}" ALIGN="LEFT" CELLPADDING="4">{head}&#160;</TD></TR>{places}{lines}</TABLE>>'
    )


def _source_line(palette: Palette, number: str, text: str, lit: bool) -> str:
    background = palette.lit if lit else palette.code
    color = palette.text[Verdict.SEVERED] if lit else palette.muted
    return (
        f'<TR><TD ALIGN="LEFT" CELLPADDING="1" BGCOLOR="{background}">'
        f'<FONT FACE="Courier" POINT-SIZE="10" COLOR="{color}">&#160;&#160;{code(number)}&#160;|&#160;</FONT>'
        f'<FONT FACE="Courier" POINT-SIZE="10" COLOR="{palette.ink}">{code(text)}&#160;&#160;</FONT></TD></TR>'
    )


def title_label(palette: Palette, title: Sequence[str], lines: Sequence[str]) -> str:
    """The lines of the headline, and smaller ones under it."""
    below = "".join(
        f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="11" COLOR="{palette.muted}">{shown(line)}</FONT></TD></TR>' for line in lines if line
    )
    head = "".join(f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="15"><B>{shown(line)}</B></FONT></TD></TR>' for line in title)
    return f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="2">{head}{below}</TABLE>>'


def legend_label(palette: Palette, drawing: Drawing) -> str:
    """What the colours, glyphs and line styles mean, of those that occur."""
    grids = [box.shape for box in drawing.boxes if isinstance(box.shape, Grid)]
    if grids:
        return f"<{_scale(palette, grids[0])}>"
    cells = [_legend_verdict(palette, verdict) for verdict in _verdicts(drawing)]
    flows = {arrow.flow for arrow in drawing.arrows if not arrow.tie}
    if drawing.foreign is not None:
        flows |= {Flow.GRADIENT, *(flow for _, _, flow in drawing.foreign.links)}
    lines = (
        (Flow.GRADIENT, palette.mark[Verdict.LIVE], "gradient", "flows back"),
        (Flow.ZERO, palette.mark[Verdict.ZERO], "zero", "comes back"),
        (Flow.DEAD, palette.mark[Verdict.SEVERED], "no gradient", "values only"),
        (Flow.VALUE, palette.line, "values", "that need no gradient"),
    )
    cells += [_legend_line(palette, flow, color, word, rest) for flow, color, word, rest in lines if flow in flows]
    if not cells:
        return ""
    columns = len(cells) if drawing.direction.value == "LR" and len(cells) <= 5 else 2
    rows = ["".join(cells[place : place + columns]) for place in range(0, len(cells), columns)]
    table = "".join(f"<TR>{row}</TR>" for row in rows)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3" CELLPADDING="2">{table}</TABLE>>'


def _verdicts(drawing: Drawing) -> list[Verdict]:
    cards = [box.shape for box in drawing.boxes if isinstance(box.shape, Card)]
    found = {verdict for card in cards for verdict, _ in card.counts or ((card.verdict, 1),)}
    if drawing.foreign is not None:
        found |= {node.verdict for node in drawing.foreign.nodes if node.verdict is not None}
    return [verdict for verdict in Verdict if verdict in found]


def _legend_verdict(palette: Palette, verdict: Verdict) -> str:
    sign = f'<FONT COLOR="{palette.on_mark}" POINT-SIZE="10"><B>{verdict.glyph}</B></FONT>'
    words = _legend_words(palette, verdict.value, MEANING[verdict])
    return f'<TD BGCOLOR="{palette.mark[verdict]}" WIDTH="16">{sign}</TD>{words}'


def _legend_line(palette: Palette, flow: Flow, color: str, word: str, rest: str) -> str:
    height = 2 if flow is Flow.VALUE else 3
    cell = f'<TD BGCOLOR="{color}" WIDTH="{{}}" HEIGHT="{height}" FIXEDSIZE="TRUE"></TD>'
    pieces = cell.format(24) if flow is Flow.GRADIENT else cell.format(6) * 3
    spacing = 0 if flow is Flow.GRADIENT else 2
    table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="{spacing}" CELLPADDING="0"><TR>{pieces}</TR></TABLE>'
    return f"<TD>{table}</TD>{_legend_words(palette, word, rest)}"


def _legend_words(palette: Palette, word: str, rest: str) -> str:
    small = f'<FONT POINT-SIZE="10" COLOR="{palette.muted}"> {shown(rest)}</FONT>'
    return f'<TD ALIGN="LEFT"><FONT POINT-SIZE="10"><B>{shown(word)}</B></FONT>{small}</TD><TD WIDTH="4"></TD>'


def grid_label(palette: Palette, grid: Grid) -> str:
    """The heat map: one row a layer, one cell a step; strokes where no gradient came."""
    rows = "".join(_grid_row(palette, name, verdict, cells) for name, verdict, cells in grid.rows)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="1" CELLPADDING="0">{rows}{_grid_steps(palette, grid.steps)}</TABLE>>'


def _grid_row(palette: Palette, name: str, verdict: Verdict, cells: Sequence[int | None]) -> str:
    color = palette.muted if verdict is Verdict.LIVE else palette.text[verdict]
    label = f'<FONT POINT-SIZE="10" COLOR="{color}">{shown(clipped(name, _LONGEST))}&#160;&#160;</FONT>'
    return f'<TR><TD ALIGN="RIGHT">{label}</TD>{"".join(_grid_cell(palette, cell) for cell in cells)}</TR>'


def _grid_cell(palette: Palette, level: int | None) -> str:
    if level is None:
        strokes = f'<FONT POINT-SIZE="8" COLOR="{palette.mark[Verdict.SEVERED]}"><B>//</B></FONT>'
        return f'<TD BGCOLOR="{palette.tint[Verdict.SEVERED]}" WIDTH="12" HEIGHT="16">{strokes}</TD>'
    return f'<TD BGCOLOR="{palette.scale[level]}" WIDTH="12" HEIGHT="16"></TD>'


def _grid_steps(palette: Palette, steps: Sequence[int]) -> str:
    """The numbers of steps under the first of every few columns."""
    every = next(size for size in (1, 5, 10, 20) if len(steps) <= 12 * size)
    starts = range(0, len(steps), every)
    font = f'<FONT POINT-SIZE="9" COLOR="{palette.muted}">'
    cells = "".join(f'<TD ALIGN="LEFT" COLSPAN="{min(every, len(steps) - start)}">{font}{steps[start]}</FONT></TD>' for start in starts)
    return f'<TR><TD ALIGN="RIGHT">{font}step&#160;&#160;</FONT></TD>{cells}</TR>'


def _scale(palette: Palette, grid: Grid) -> str:
    """The legend of a heat map."""
    small = f'<FONT POINT-SIZE="10" COLOR="{palette.muted}">'
    cells = "".join(f'<TD BGCOLOR="{color}" WIDTH="18" HEIGHT="12"></TD>' for color in palette.scale.values())
    return (
        f'<TABLE {_PLAIN}="2"><TR><TD>{small}|g| 1e{grid.low:+03d}&#160;</FONT></TD>{cells}<TD>{small}&#160;1e{grid.high:+03d}</FONT></TD>'
        f'<TD WIDTH="16"></TD>{_grid_cell(palette, None)}{_legend_words(palette, "no gradient", "in that step")}</TR></TABLE>'
    )
