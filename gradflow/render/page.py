"""A page of styled lines of a fixed width: wrapping, cropping, and the last step to a string. Knows terminals' cells, and no report.

A string of the user (a name, a source line, a message) comes in by `visible` only: what a terminal would obey is written out instead.
"""

from __future__ import annotations

import re
import unicodedata
from io import StringIO
from urllib.parse import quote

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gradflow.render.glyphs import ASCII, UNICODE, Glyphs

NARROWEST = 20
"""Columns. A width below this is taken as this: nothing could be told in less."""

# Control, format (bidirectional overrides, zero-width), surrogate, private and line-breaking characters.
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


class Page:
    """Collects lines; `render()` gives them as one string, each ended by a line feed and none wider than `width` cells."""

    def __init__(self, width: int, *, color: bool, unicode: bool, links: str = "") -> None:
        self.width = max(width, NARROWEST)
        self.color = color
        self._links = links
        self.unicode = unicode
        self.glyphs: Glyphs = UNICODE if unicode else ASCII
        self._lines: list[Text] = []

    def show(self, text: str) -> str:
        """A string of the user, made safe to print."""
        return visible(text, unicode=self.unicode)

    def file_link(self, file: str) -> str:
        """The style that makes a text a link to `file`, for terminals that follow them; empty where no links are wanted."""
        if not (self.color and self._links):
            return ""
        whole = file if file.startswith("/") else f"/{file}" if file[1:2] == ":" else f"{self._links.removeprefix('file://')}/{file}"
        return f"link file://{quote(whole.encode(errors='replace'), safe='/:%')}"

    def line(self, *parts: str | tuple[str, str]) -> None:
        """Adds one line out of parts, each a text or (text, style), cropped to the width."""
        self.add(Text.assemble(*parts))

    def add(self, text: Text) -> None:
        """Adds one line, cropped to the width."""
        self._lines.append(crop(text, self.width, self.glyphs.ellipsis))

    def paragraph(self, *parts: str | tuple[str, str], indent: int = 2) -> None:
        """Adds as many lines as the parts need; those after the first are indented."""
        self._lines.extend(wrap(Text.assemble(*parts), self.width, indent))

    def blank(self) -> None:
        """Adds an empty line, unless the page is empty or ends in one."""
        if self._lines and self._lines[-1].plain:
            self._lines.append(Text())

    def render(self) -> str:
        """All lines as one string, with ANSI escapes if the page has colour."""
        for line in self._lines:
            line.rstrip()
        if not self.color:
            return "".join(f"{line.plain}\n" for line in self._lines)
        out = StringIO()
        # Every choice is given, so that rich takes none from the environment.
        console = Console(
            file=out, force_terminal=True, color_system="standard", no_color=False, width=self.width, height=25, legacy_windows=False
        )
        for line in self._lines:
            console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)
        return out.getvalue()


def visible(text: str, *, unicode: bool) -> str:
    r"""`text` on one line, with what a terminal would obey written as an escape, and in ASCII only unless `unicode`.

    >>> visible("a\x1b[31mb\n", unicode=True)
    'a\\x1b[31mb\\n'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible_character(character, unicode) for character in text)


def _visible_character(character: str, unicode: bool) -> str:
    if character == "\t":
        return "    "
    if unicodedata.category(character) in _OBEYED or not (unicode or character.isascii()):
        return character.encode("unicode_escape").decode()
    return character


def crop(text: Text, width: int, ellipsis: str) -> Text:
    """`text` in at most `width` cells, ended by `ellipsis` where something was left out."""
    if text.cell_len <= width:
        return text
    short = text.copy()
    short.truncate(max(width - cell_len(ellipsis), 0), overflow="crop")
    return short.append(ellipsis)


def wrap(text: Text, width: int, indent: int) -> list[Text]:
    """`text` in lines of at most `width` cells, broken between words where it can be; lines after the first are indented."""
    indent = min(indent, width // 2)
    lines = list(text.divide(_breaks(text.plain, width, indent)))
    for line in lines:
        line.rstrip()
    return [lines[0], *(Text(" " * indent).append_text(line) for line in lines[1:])]


def _breaks(plain: str, width: int, indent: int) -> list[int]:
    """The offsets in `plain` where a new line begins."""
    breaks: list[int] = []
    begin, room = 0, width
    for word in re.finditer(r"\S+", plain):
        if cell_len(plain[begin : word.end()]) <= room:
            continue
        if plain[begin : word.start()].strip():
            begin, room = word.start(), width - indent
            breaks.append(begin)
        # A longer word is broken anywhere. Measured as a whole, since a sign that joins or widens its neighbour has no width of its own.
        end = begin + 1
        while cell_len(plain[begin : word.end()]) > room:
            while cell_len(plain[begin : end + 1]) <= room:
                end += 1
            begin, room, end = end, width - indent, end + 1
            breaks.append(begin)
    return breaks
