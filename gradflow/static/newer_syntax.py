"""Which Python a line needs that this one cannot parse, as far as the line itself shows it."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

LONGEST = 500
"""So many characters of a line are looked at."""
_SAME_QUOTES = r"\b[fF][rR]?(?P<quote>[\"'])(?:(?!(?P=quote)).)*\{(?:(?!(?P=quote)|\}).)*(?P=quote)(?:(?!(?P=quote)).)*(?P=quote).*\}"
_EXCEPTION = r"[A-Z]\w*|[\w.]+\.[A-Z]\w*"


class Newer(NamedTuple):
    """A piece of syntax: what it is called, the Python that brought it, and how a line looks that has it."""

    name: str
    version: tuple[int, int]
    line: re.Pattern[str]


NEWER = (
    Newer("a default of a type parameter", (3, 13), re.compile(r"^\s*(?:class|(?:async\s+)?def|type)\s+\w+\s*\[[^\]]*[^\]=!<>:]=[^\]=]")),
    Newer("a type parameter", (3, 12), re.compile(r"^\s*(?:class|(?:async\s+)?def)\s+\w+\s*\[")),
    Newer("the statement `type`", (3, 12), re.compile(r"^\s*type\s+\w+\s*(?:\[.*\])?\s*=")),
    Newer("an f-string with its own quotes inside", (3, 12), re.compile(_SAME_QUOTES)),
    Newer("an f-string with a backslash in its braces", (3, 12), re.compile(r"\b[fF][\"'][^{]*\{[^}]*\\")),
    Newer("a template string", (3, 14), re.compile(r"(?<![\w\"'.])(?:[tT][rR]?|[rR][tT])[\"']")),
    Newer("`except` of several without brackets", (3, 14), re.compile(rf"^\s*except\s+(?:{_EXCEPTION})(?:\s*,\s*(?:{_EXCEPTION}))+\s*:")),
    Newer("`except*`", (3, 11), re.compile(r"^\s*except\s*\*")),
    Newer("a star in an index", (3, 11), re.compile(r"\w\[(?:[^\]]*,)?\s*\*\w")),
)
"""What Python can do since 3.11. `except A, b:` stands not here: it is Python 2."""


def needed_python(line: str) -> str:
    """What is newer in `line` than the Python that runs, and which it needs; empty where nothing is."""
    running = sys.version_info[:2]
    for entry in NEWER:
        if entry.version > running and entry.line.search(line[:LONGEST]):
            needed, this = (".".join(map(str, version)) for version in (entry.version, running))
            return f"{entry.name} needs Python {needed}, and this is {this}"
    return ""
