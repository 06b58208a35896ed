"""The top level of a file cut into pieces, so that of a file which is only imported no class or function is parsed that nobody asks for.

Nothing is decided here by guessing: text that cannot be cut with certainty is not cut, and what was cut wrongly does not parse.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_STRING = re.compile(
    r"#[^\n]*"
    r'|"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'(?:[^'\\\n]|\\.)*'",
    re.DOTALL,
)
_BEGINS = re.compile(r"\n(?=[^\s#)\]}])")
"""Before a line that begins a statement, or one of its parts (`else:`), at the top level; a bracket there ends an argument list."""
_DEFINES = re.compile(r"(?:async[ \t]+)?def[ \t]+(\w+)|class[ \t]+(\w+)")
_CLASS = re.compile(r"^class[ \t]+\w+[ \t]*(?:\(([^()#\"']*(?:\([^()#\"']*\)[^()#\"']*)*)\))?[ \t]*:", re.MULTILINE)
"""The first line of a class, or lines, without type parameters, strings and comments."""
_MAY_DEFINE = ("def", "class", "async", "@")


@dataclass(slots=True, eq=False)
class Piece:
    """A class or function at the top level, from its first decorator on: its name, first line (from 1), and place in the text.

    `node` is its statement once it is parsed.
    """

    name: str
    is_class: bool
    line: int
    start: int
    end: int
    node: ast.stmt | None = None

    @property
    def length(self) -> int:
        """In characters."""
        return self.end - self.start


def pieces_of(text: str) -> list[Piece] | None:
    """The classes and functions at the top level, in their order; None where the text cannot be cut."""
    starts = _starts(text)
    if starts is None:
        return None
    pieces: list[Piece] = []
    begin = -1
    line, counted = 1, 0
    for number, start in enumerate(starts):
        if text[start] == "@":
            begin = start if begin < 0 else begin
            continue
        found = _DEFINES.match(text, start)
        if found is not None:
            first = start if begin < 0 else begin
            line, counted = line + text.count("\n", counted, first), first
            end = starts[number + 1] if number + 1 < len(starts) else len(text)
            pieces.append(Piece(found[1] or found[2], found[2] is not None, line, first, end))
        elif begin >= 0 or text.startswith("async", start):
            return None  # something between a decorator and what it decorates
        begin = -1
    return pieces


def _starts(text: str) -> list[int] | None:
    """Where the statements of the top level begin, as far as lines tell it; None where a definition may stand in a string, or the like."""
    if "\f" in text:
        return None
    strings = [found.span() for found in _STRING.finditer(text) if "\n" in found[0]]
    starts = [0] if text[:1] and not text[0].isspace() and text[0] not in "#)]}" else []
    place = 0
    for found in _BEGINS.finditer(text):
        start = found.end()
        while place < len(strings) and strings[place][1] <= start:
            place += 1
        if place < len(strings) and strings[place][0] < start:
            if text.startswith(_MAY_DEFINE, start):
                return None
            continue
        if text[found.start() - 1] == "\\":
            return None  # the line before goes on here
        starts.append(start)
    return starts


def bases_of(text: str, piece: Piece) -> list[ast.expr] | None:
    """The base classes of a class as they are written, without a look at its body; None where that does not tell them."""
    found = _CLASS.search(text, piece.start, piece.end)
    if found is None:
        return None
    if not found[1]:
        return []
    try:
        node = ast.parse(f"_({found[1]})", mode="eval").body
    except SyntaxError:
        return None
    return node.args if isinstance(node, ast.Call) else None


def only(text: str, pieces: Iterable[Piece]) -> str:
    """The text of these pieces, each in its own lines; all other lines are empty."""
    parts: list[str] = []
    line = 1
    for piece in pieces:
        here = text[piece.start : piece.end]
        parts += ["\n" * (piece.line - line), here]
        line = piece.line + here.count("\n")
    return "".join(parts)


def without(text: str, pieces: Sequence[Piece]) -> str:
    """The text with empty lines in place of these pieces."""
    parts: list[str] = []
    place = 0
    for piece in pieces:
        parts += [text[place : piece.start], "\n" * text.count("\n", piece.start, piece.end)]
        place = piece.end
    return "".join([*parts, text[place:]])
