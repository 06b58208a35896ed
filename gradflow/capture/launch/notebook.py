"""Reads a notebook's code cells as Python, and runs them one after the other in one `__main__`, as a restarted kernel does.

Each cell is compiled under a name of its own (`nb.ipynb[cell 3]`, code cells counted from 1), and `linecache` knows its text, so that sites
and tracebacks show the user's lines. Magics and shell lines do nothing; the cell of a magic that runs Python (`%%time`) is run.
"""

from __future__ import annotations

import json
import linecache
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradflow.capture.launch.main_module import fresh_main, set_first_path
from gradflow.capture.launch.target import relative_posix
from gradflow.errors import TargetError
from gradflow.notebook_code import as_python


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


def _language(content: Any) -> str:
    metadata = content.get("metadata", {})
    return str(metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name") or "python")
