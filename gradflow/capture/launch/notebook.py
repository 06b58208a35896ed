"""Reads a notebook's code cells as Python, and runs them one after the other in one `__main__`, as a restarted kernel does.

Each cell is compiled under a name of its own (`nb.ipynb[cell 3]`, code cells counted from 1), and `linecache` knows its text, so that sites
and tracebacks show the user's lines. Magics and shell lines do nothing; the cell of a magic that runs Python (`%%time`) is run.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradflow.capture.launch.main_module import fresh_main, set_first_path
from gradflow.capture.launch.target import relative_posix
from gradflow.errors import TargetError

_RUNS_PYTHON = frozenset({"%%time", "%%timeit", "%%capture", "%%prun"})
_LINE_RUNS_PYTHON = re.compile(r"(\s*)%(?:time|prun)\s+(?=\S)(.*)", re.DOTALL)
_IS_MAGIC = re.compile(r"\s*[%!?]")
_ASSIGNED_MAGIC = re.compile(r"(\s*[\w.,\s\[\]'\"]+=\s*)[%!]")
_ASKS_FOR_HELP = re.compile(r"[\w.\s]+\?\??\s*")


@dataclass(frozen=True, slots=True)
class Cell:
    """One code cell: the name under which it is compiled, and its text as Python, as many lines as the user wrote."""

    name: str
    text: str


def read_cells(place: str) -> tuple[Cell, ...]:
    """The code cells of the notebook, in order.

    Raises:
        TargetError: the file is no notebook of format 4, or not one of Python.
    """
    try:
        content = json.loads(Path(place).read_text("utf-8-sig"))
        cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        texts = ["".join(cell["source"]) for cell in cells]
        language = _language(content)
    except OSError as error:
        raise TargetError(f"`{place}` cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TargetError(f"`{place}` is no notebook of format 4: {type(error).__name__}: {error}") from None
    if language.lower() not in ("python", "ipython"):
        raise TargetError(f"`{place}` is a notebook in {language}: expected one in Python")
    shown = relative_posix(place)
    return tuple(Cell(f"{shown}[cell {number}]", as_python(text)) for number, text in enumerate(texts, start=1))


def run_notebook(place: str) -> None:
    """Runs all code cells in this process, in the notebook's own directory, as Jupyter does."""
    cells = read_cells(place)
    folder = os.path.dirname(os.path.abspath(place))
    os.chdir(folder)
    sys.argv[:] = [place]
    main = fresh_main()
    main.__dict__["display"] = print
    set_first_path(folder)
    for cell in cells:
        linecache.cache[cell.name] = (len(cell.text), None, cell.text.splitlines(keepends=True), cell.name)
    for cell in cells:
        # inherited flags of this file (`annotations`) must not change the meaning of theirs
        code = compile(cell.text, cell.name, "exec", dont_inherit=True)
        exec(code, main.__dict__)


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


def _language(content: Any) -> str:
    metadata = content.get("metadata", {})
    return str(metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name") or "python")
