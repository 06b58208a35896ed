"""The code frame of a finding: the user's lines with a number each, and marks under the spans that the finding speaks of.

The cause is marked with `^`, a leak or definition with `-`. Sites of one file that lie near share a frame. All text comes from the sites.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from rich.cells import cell_len
from rich.text import Text

from gradflow.graph.site import Site
from gradflow.render.glyphs import SEVERITY_STYLE
from gradflow.render.page import Page, wrap
from gradflow.report import Finding, FindingSite, Role

NEAR = 12
"""Lines: sites that lie further apart get frames of their own."""
BEFORE, AFTER = 2, 1
"""Lines shown around a marked one."""
LONG_SPAN = 4
"""Lines: a span over more is marked on its first line only."""
_GUTTER_STYLE = "blue"


@dataclass(slots=True)
class Frame:
    """Sites that are shown together, the user's lines that are known, and the marks by line."""

    sites: list[FindingSite]
    known: dict[int, str] = field(default_factory=dict)
    marks: dict[int, list[Mark]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """Columns `start` to `end` (exclusive, from 1) of one line, and the words beside them."""

    start: int
    end: int
    sign: str
    style: str
    note: str


def add_frames(page: Page, finding: Finding) -> int:
    """Adds the places of `finding` to the page; returns the width of the line numbers, under which notes are set."""
    frames = [_prepared(frame, finding) for frame in _grouped(finding.sites)]
    gutter = max((len(str(line)) for frame in frames for line in _shown_lines(frame) or [frame.sites[0].site.line]), default=1)
    for number, frame in enumerate(frames):
        arrow = "-->" if number == 0 else ":::"
        site = frame.sites[0].site
        page.paragraph((" " * gutter + arrow, _GUTTER_STYLE), " ", (page.show(_place(site)), page.file_link(site.file)), indent=gutter + 4)
        if frame.marks:
            _add_code(page, frame, gutter)
        else:
            _add_notes(page, frame, gutter)
    return gutter


def _grouped(sites: tuple[FindingSite, ...]) -> list[Frame]:
    frames: list[Frame] = []
    for entry in sorted(sites, key=lambda entry: entry.role is not Role.CAUSE):
        for frame in frames:
            if any(_near(entry, other) for other in frame.sites):
                frame.sites.append(entry)
                break
        else:
            frames.append(Frame([entry]))
    return frames


def _near(one: FindingSite, other: FindingSite) -> bool:
    return one.site.file == other.site.file and abs(one.site.line - other.site.line) <= NEAR


def _prepared(frame: Frame, finding: Finding) -> Frame:
    for entry in frame.sites:
        frame.known.update(entry.site.context)
    for entry in frame.sites:
        if entry.site.source:
            frame.known[entry.site.line] = entry.site.source
    for entry in frame.sites:
        cause = entry.role is Role.CAUSE
        _add_marks(frame, entry, "^" if cause else "-", SEVERITY_STYLE[finding.severity] if cause else "bold blue")
    return frame


def _add_marks(frame: Frame, entry: FindingSite, sign: str, style: str) -> None:
    site = entry.site
    last = max(site.end_line, site.line)
    if last - site.line >= LONG_SPAN:
        last = site.line
    lines = [line for line in range(site.line, last + 1) if frame.known.get(line, "").strip()]
    for line in lines:
        text = frame.known[line].rstrip()
        first_letter = len(text) - len(text.lstrip()) + 1
        start = max(site.column, first_letter) if line == site.line else first_letter
        end = site.end_column if line == max(site.end_line, site.line) else 0
        end = min(end, len(text) + 1) if end > start else len(text) + 1
        mark = Mark(start, max(end, start + 1), sign, style, entry.note if line == lines[-1] else "")
        frame.marks.setdefault(line, []).append(mark)


def _place(site: Site) -> str:
    place = f"{site.file}:{site.line}"
    if site.function and site.function != "<module>":
        place += f", in {site.function}"
    return place + (f" (module {site.module})" if site.module else "")


def _shown_lines(frame: Frame) -> list[int]:
    """The numbers of the lines to show: marked ones and a few around, no blank one at either end, small gaps closed."""
    wanted = {near for line in frame.marks for near in range(line - BEFORE, line + AFTER + 1) if near in frame.known}
    lines = sorted(wanted)
    while lines and not frame.known[lines[0]].strip():
        lines.pop(0)
    while lines and not frame.known[lines[-1]].strip():
        lines.pop()
    gaps = [range(line + 1, following) for line, following in pairwise(lines) if following - line <= 3]
    return sorted([*lines, *(line for gap in gaps for line in gap if line in frame.known)])


def _add_code(page: Page, frame: Frame, gutter: int) -> None:
    lines = _shown_lines(frame)
    room = max(page.width - gutter - 3, 4)
    left = _left_edge(page, frame, lines, room)
    empty = (" " * gutter + " |", _GUTTER_STYLE)
    page.line(empty)
    for place, line in enumerate(lines):
        if place and line != lines[place - 1] + 1:
            page.line((" " * gutter + " ...", _GUTTER_STYLE))
        text = _from_cell(page.show(frame.known[line]), left, page.glyphs.ellipsis)
        page.line((f"{line:>{gutter}} |", _GUTTER_STYLE), " " + text)
        for mark in frame.marks.get(line, ()):
            _add_mark(page, frame.known[line], mark, empty, left, room)
    page.line(empty)


def _left_edge(page: Page, frame: Frame, lines: list[int], room: int) -> int:
    """How many cells are left out on the left: none where all lines fit, else the common indent, else so much that marks can be seen."""
    shown = [page.show(frame.known[line]) for line in lines]
    if max(map(cell_len, shown)) <= room:
        return 0
    indent = min(len(text) - len(text.lstrip()) for text in shown if text.strip())
    ends = [_cells(page, frame.known[line], mark.end) for line, marks in frame.marks.items() for mark in marks]
    starts = [_cells(page, frame.known[line], mark.start) for line, marks in frame.marks.items() for mark in marks]
    if max(ends) - indent <= room:
        return indent
    # Room for an ellipsis on either side of the marks; where they are too long themselves, their beginning is shown.
    dots = cell_len(page.glyphs.ellipsis)
    return max(indent, min(min(starts) - dots - 1, max(ends) + dots - room))


def _cells(page: Page, text: str, column: int) -> int:
    """The cells before `column` (from 1) of `text`, as it is shown."""
    return cell_len(page.show(text[: column - 1]))


def _from_cell(text: str, left: int, ellipsis: str) -> str:
    """`text` without its first `left` cells; an ellipsis stands first where more than blanks went."""
    if not left:
        return text
    skip = 0
    while skip < len(text) and cell_len(text[:skip]) < left:
        skip += 1
    if not text[:skip].strip():
        return text[skip:]
    return ellipsis + text[skip + len(ellipsis) :]


def _add_mark(page: Page, text: str, mark: Mark, empty: tuple[str, str], left: int, room: int) -> None:
    start = min(max(_cells(page, text, mark.start) - left, 0), room - 1)
    length = max(min(_cells(page, text, mark.end) - left, room) - start, 1)
    signs = " " * (start + 1) + mark.sign * length
    note = page.show(mark.note)
    if start + length + 1 + cell_len(note) <= room:
        page.line(empty, (f"{signs} {note}", mark.style))
        return
    page.line(empty, (signs, mark.style))
    # Under its mark where there is room for words, else at the left.
    at = start if room - start >= max(cell_len(note) // 2, 20) else min(start, 2)
    for words in wrap(Text(note, mark.style), room - at, 0):
        page.add(Text.assemble(empty, " " * (at + 1)).append_text(words))


def _add_notes(page: Page, frame: Frame, gutter: int) -> None:
    for entry in frame.sites:
        if entry.note:
            page.paragraph((" " * gutter + " = ", _GUTTER_STYLE), page.show(entry.note), indent=gutter + 3)
