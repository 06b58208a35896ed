"""Source text to syntax trees: encodings, byte order marks, notebooks, and syntax errors as plain facts. Never executes anything."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from gradflow.graph.site import Site
from gradflow.notebook_code import as_python
from gradflow.static.newer_syntax import needed_python
from gradflow.static.pieces import Piece, only, pieces_of, without

CONTEXT = 3
"""Lines before and after a site that its code frame may show."""


TOKEN = re.compile(r"\.?[A-Za-z_]\w*\(?")
_ASSIGNS = re.compile(r"[ \t]*(?::[^=\n]+)?=(?!=)")


class UnreadableSource(Exception):
    """The text is no Python that this interpreter can parse: `line` and `column` from 1, and the parser's own words."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(slots=True)
class Weight:
    """How much was parsed of several files together, in characters."""

    characters: int = 0


@dataclass(slots=True)
class Source:
    """One file. `shown` is its path as a report names it; `tree` is None where `error` says why, or where the file is only imported.

    Then `outline` has its top level, in order: statements, and the classes and functions that are parsed when they are asked for.
    """

    path: str
    shown: str
    text: str
    tree: ast.Module | None = None
    error: UnreadableSource | None = None
    outline: list[ast.stmt | Piece] = field(default_factory=list)
    weight: Weight = field(default_factory=Weight)
    lines: list[str] = field(default_factory=list)
    _offsets: list[int] = field(default_factory=list)
    _tokens: dict[int, frozenset[str]] = field(default_factory=dict)
    _assigned: dict[str, int] = field(default_factory=dict)

    def line(self, number: int) -> str:
        """Line `number`, from 1; empty beyond the end."""
        if not self.lines:
            # Not `splitlines`, which also breaks at form feeds and other marks that Python's own parser does not count.
            self.lines = self.text.split("\n")
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def offset(self, number: int) -> int:
        """How many characters stand before the end of line `number`, from 1."""
        if not self._offsets:
            self.line(1)
            self._offsets = list(accumulate(len(line) + 1 for line in self.lines))
        return self._offsets[number - 1]

    def segment(self, node: ast.stmt) -> str:
        """The text of the lines of `node`, decorators included."""
        self.line(1)
        return "\n".join(self.lines[self.first_line(node) - 1 : node.end_lineno])

    def first_line(self, node: ast.stmt) -> int:
        """The line in which `node` begins, with its decorators."""
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        return min([node.lineno, *(entry.lineno for entry in decorators)])

    def code(self, node: ast.stmt) -> str:
        """The same without the lines of its docstring, which may hold examples."""
        text = self.segment(node)
        body: list[ast.stmt] = getattr(node, "body", [])
        first = body[0] if body else node
        if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant) or not isinstance(first.value.value, str):
            return text
        last = first.end_lineno or first.lineno
        alone = node.lineno < first.lineno and (len(body) == 1 or last < body[1].lineno)
        if not alone:
            return text
        begin = self.first_line(node)
        return "\n".join(self.lines[begin - 1 : first.lineno - 1] + self.lines[last : node.end_lineno])

    def tokens(self, node: ast.stmt) -> frozenset[str]:
        """The names in the code of `node`, each with the point before it and the bracket after it: `no_grad`, `.detach(`, `Linear(`."""
        known = self._tokens.get(id(node))
        if known is None:
            known = self._tokens[id(node)] = frozenset(TOKEN.findall(self.code(node)))
        return known

    def assigned(self, name: str) -> int:
        """How often `name` is assigned to: as an attribute, where it has a point before it, else where a line in a block begins with it."""
        if name not in self._assigned:
            self._assigned[name] = sum(1 for _ in self._assignments(name))
        return self._assigned[name]

    def _assignments(self, name: str) -> Iterator[int]:
        place = self.text.find(name)
        while place >= 0:
            before = self.text[self.text.rfind("\n", 0, place) + 1 : place]
            if (name[0] == "." or before.isspace()) and _ASSIGNS.match(self.text, place + len(name)):
                yield place
            place = self.text.find(name, place + len(name))

    def statement(self, piece: Piece) -> ast.stmt | None:
        """The statement of one piece of the outline, None where it cannot be parsed."""
        if piece.node is None:
            self.weight.characters += piece.length
            piece.node = _parsed_alone(self.text, piece)
        return piece.node

    @property
    def parsed(self) -> int:
        """How much of the text is parsed, in characters."""
        return len(self.text) - sum(entry.length for entry in self.outline if isinstance(entry, Piece) and entry.node is None)

    def complete(self) -> None:
        """Parses what is left of the outline; then the tree is there, or the error. What was parsed before stays the same object."""
        left = [entry for entry in self.outline if isinstance(entry, Piece) and entry.node is None]
        self.weight.characters += sum(piece.length for piece in left)
        try:
            fresh = parse(only(self.text, left)).body if left else []
        except UnreadableSource:
            fresh = []
        if len(fresh) == len(left):
            for piece, node in zip(left, fresh, strict=True):
                piece.node = node
            body = [entry.node if isinstance(entry, Piece) else entry for entry in self.outline]
            self.tree = ast.Module([node for node in body if node is not None], [])
        else:
            self.parse_whole()
        self.outline = []

    def parse_whole(self) -> None:
        """Parses the text, and keeps the tree or the error."""
        try:
            self.tree = parse(self.text)
        except UnreadableSource as error:
            self.error = error

    def site(self, node: ast.AST, function: str, *, header: bool = False) -> Site:
        """The place of `node`; with `header` only its first line, as of a `with` block."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        end_line, end_column = getattr(node, "end_lineno", None) or line, getattr(node, "end_col_offset", None) or column
        source = self.line(line)
        if header:
            end_line, end_column = line, len(source.rstrip().encode("utf-8", "replace"))
        around = tuple(
            (number, self.line(number))
            for number in range(max(line - CONTEXT, 1), min(end_line, line + 8) + CONTEXT + 1)
            if number <= len(self.lines)
        )
        return Site(
            self.shown,
            line,
            _characters(source, column) + 1,
            end_line,
            _characters(self.line(end_line), end_column) + 1,
            function,
            source=source,
            context=around,
        )


def read_outline(path: Path, shown: str) -> Source:
    """The file at `path` with its outline, or its tree where it cannot be cut. Raises OSError where it cannot be read."""
    source = _decoded(path.read_bytes(), str(path), shown)
    if source.error is None:
        source.outline = _outline(source.text)
        if not source.outline:
            source.parse_whole()
    return source


def _outline(text: str) -> list[ast.stmt | Piece]:
    """The top level of a text, empty where it cannot be cut, or has nothing to be cut off."""
    pieces = pieces_of(text)
    if not pieces:
        return []
    try:
        rest = parse(without(text, pieces)).body
    except UnreadableSource:
        return []
    return sorted([*rest, *pieces], key=lambda entry: entry.line if isinstance(entry, Piece) else entry.lineno)


def parse_source(data: bytes, path: str, shown: str) -> Source:
    """`data` as a Source; what cannot be decoded or parsed is its `error`."""
    source = _decoded(data, path, shown)
    if source.error is None:
        source.parse_whole()
    return source


def _decoded(data: bytes, path: str, shown: str) -> Source:
    try:
        text = notebook_text(data) if path.endswith(".ipynb") else decode(data)
    except UnreadableSource as error:
        return Source(path, shown, "", error=error)
    # Not only for speed: a carriage return in the middle of a line ends it for Python's parser too.
    return Source(path, shown, text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text)


def _parsed_alone(text: str, piece: Piece) -> ast.stmt | None:
    try:
        body = parse(only(text, [piece])).body
    except UnreadableSource:
        body = []
    if len(body) == 1:
        return body[0]
    try:
        # Cut in the wrong place, where a line goes on in the next: then the whole has to tell where it ends.
        body = parse(text).body
    except UnreadableSource:
        return None
    last = piece.line + text.count("\n", piece.start, piece.end)
    return next((node for node in body if piece.line <= node.lineno <= last and getattr(node, "name", "") == piece.name), None)


def parse(text: str) -> ast.Module:
    """The syntax tree of `text`. Raises UnreadableSource."""
    try:
        with warnings.catch_warnings():
            # Such as invalid escapes in the user's strings: theirs to mend, not ours to repeat.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        line = error.lineno or 1
        needed = needed_python("".join(text.split("\n")[line - 1 : line]))
        raise UnreadableSource("; ".join(filter(None, [error.msg or "invalid syntax", needed])), line, error.offset or 1) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnreadableSource(f"cannot be parsed: {error}") from error


def decode(data: bytes) -> str:
    """`data` as text, by its byte order mark or coding line, else UTF-8."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise UnreadableSource(f"cannot be decoded: {error}") from error


def notebook_text(data: bytes) -> str:
    """The code cells of a notebook, one after the other; magics and shell lines become blank, so that line numbers stay."""
    try:
        cells = json.loads(data.decode("utf-8-sig"))["cells"]
        code = [cell["source"] for cell in cells if cell.get("cell_type") == "code"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableSource(f"is no notebook: {type(error).__name__}: {error}") from error
    blocks = ["".join(map(str, source)) if isinstance(source, list) else str(source) for source in code]
    return "\n".join(as_python(block) for block in blocks)


def _characters(line: str, offset: int) -> int:
    """`ast` counts bytes of UTF-8; a site counts characters."""
    return offset if line.isascii() else len(line.encode("utf-8", "replace")[:offset].decode("utf-8", "replace"))
