"""DOT text in, picture out: Graphviz in a child process, with a time limit and a memory limit. The program `dot` where it is on the PATH,
else the wheel `pygraphviz`, which carries Graphviz inside."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gradflow.errors import GradflowError

FORMATS = ("svg", "png", "pdf")
TIMEOUT = 30.0
"""Seconds. A drawing of 200 boxes takes less than one."""
MEMORY = 2 << 30
"""Bytes of address space that a drawing may take, where the system can hold a process to it."""
DOTS_PER_INCH = 144
"""Of PNG: twice what the drawing's own points come to on a plain screen, so that small print can be read."""
_CHILD = Path(__file__).with_name("child.py")


class DrawingFailed(GradflowError):
    """No engine, or it failed; the sentence says which, and what to install."""

    slug = "drawing"


def draw(dot: str, format: str, *, timeout: float = TIMEOUT) -> bytes:
    """The picture of `dot` in one of FORMATS.

    Raises:
        DrawingFailed: where no engine is found, or it fails or takes longer than `timeout` seconds.
    """
    return draw_all([dot], format, timeout=timeout)[0]


def draw_all(dots: Sequence[str], format: str, *, timeout: float = TIMEOUT) -> list[bytes]:
    """The pictures of `dots`, drawn by one process: starting it takes longer than drawing.

    Raises:
        DrawingFailed: as `draw`, and then none is there.
    """
    engine = find_engine()
    with tempfile.TemporaryDirectory(prefix="gradflow-") as folder:
        sources = [Path(folder) / f"{number}.dot" for number in range(len(dots))]
        for source, dot in zip(sources, dots, strict=True):
            source.write_text(dot, "utf-8", newline="\n")
        command = [sys.executable, str(_CHILD), engine, format, str(DOTS_PER_INCH), str(MEMORY), *map(str, sources)]
        try:
            run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, env=_environment())
        except subprocess.TimeoutExpired as error:
            raise DrawingFailed(f"the picture was given up: Graphviz took more than {timeout:g} seconds") from error
        targets = [source.with_name(f"{source.name}.{format}") for source in sources]
        # A memory limit shows itself in many ways; that a picture is missing is the one sign that all of them share.
        if run.returncode or not all(target.is_file() and target.stat().st_size for target in targets):
            said = run.stderr.decode("utf-8", "replace").strip().splitlines()
            raise DrawingFailed(f"the picture could not be drawn: {said[-1] if said else f'Graphviz ended with {run.returncode}'}")
        return [target.read_bytes() for target in targets]


def find_engine() -> str:
    """The path of the program `dot`, or `pygraphviz`.

    Raises:
        DrawingFailed: where there is neither.
    """
    program = shutil.which("dot")
    if program:
        return program
    if importlib.util.find_spec("pygraphviz") is not None:
        return "pygraphviz"
    raise DrawingFailed("the picture needs Graphviz, and none was found: install the program `dot`, or `pip install 'gradflow[draw]'`")


def _environment() -> dict[str, str]:
    # Numbers with a decimal comma, or another date, would change the bytes.
    return {**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "0"}
