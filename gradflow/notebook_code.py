"""A notebook's cell as Python: magics, shell lines and requests for help do nothing, and each line stays on its line."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

_RUNS_PYTHON = frozenset({"%%time", "%%timeit", "%%capture", "%%prun"})
_LINE_RUNS_PYTHON = re.compile(r"(\s*)%(?:time|prun)\s+(?=\S)(.*)", re.DOTALL)
_IS_MAGIC = re.compile(r"\s*[%!?]")
_ASSIGNED_MAGIC = re.compile(r"(\s*[\w.,\s\[\]'\"]+=\s*)[%!]")
_ASKS_FOR_HELP = re.compile(r"[\w.\s]+\?\??\s*")


def as_python(text: str) -> str:
    """The text of a cell without what only a notebook understands; each line stays on its line.

    >>> as_python("%matplotlib inline\\nx = 17 \\\\\\n  % 5")
    'pass\\nx = 17 \\\\\\n  % 5'
    >>> as_python("%%bash\\nls")
    '\\n'
    """
    first, _, rest = text.lstrip("\n").partition("\n")
    blank = "\n" * (len(text) - len(text.lstrip("\n")))
    if first.startswith("%%"):
        text = f"{blank}\n{rest}" if first.split()[0] in _RUNS_PYTHON else "\n" * text.count("\n")
    lines = text.split("\n")
    for _ in lines:
        wrong = _first_wrong_line("\n".join(lines))
        if wrong is None:
            break
        if not _mend(lines, wrong):
            return "\n".join(_all_mended(lines))
    return "\n".join(lines)


def _first_wrong_line(text: str) -> int | None:
    """The line (from 0) at which Python stops reading, None where it reads all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return (error.lineno or 1) - 1
    except ValueError:
        return None  # a null byte, which compiling the cell will tell of
    return None


def _mend(lines: list[str], number: int) -> bool:
    """Makes Python of line `number` if it is one that only a notebook understands. A `%` that Python reads is an operator: it stays."""
    if number >= len(lines):
        return False
    line = lines[number]
    runs = _LINE_RUNS_PYTHON.fullmatch(line)
    assigned = _ASSIGNED_MAGIC.match(line)
    if runs:
        lines[number] = runs[1] + runs[2]
    elif _IS_MAGIC.match(line) or _ASKS_FOR_HELP.fullmatch(line):
        for other in _continued(lines, number):
            lines[other] = ""
        lines[number] = line[: len(line) - len(line.lstrip())] + "pass"
    elif assigned:
        lines[number] = f"{assigned[1]}None"
    else:
        return False
    return lines[number] != line


def _continued(lines: list[str], number: int) -> Iterator[int]:
    """The lines that a backslash makes part of shell line `number`."""
    while lines[number].endswith("\\") and number + 1 < len(lines):
        number += 1
        yield number


def _all_mended(lines: list[str]) -> list[str]:
    """Where Python names another line than the guilty one (a quote that opens in a shell line): all that look like magics are mended."""
    mended = list(lines)
    for number, line in enumerate(lines):
        if _IS_MAGIC.match(line):
            _mend(mended, number)
    return mended if _first_wrong_line("\n".join(mended)) is None else lines
