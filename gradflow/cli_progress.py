"""Shows on a terminal that an audit is under way, and for how long. Nothing is shown where standard error is no terminal.

A program that prints is its own progress, and a line that is drawn anew would run into what it prints: so only what is quiet gets one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def progress(text: str, *, wanted: bool) -> Iterator[None]:
    """A line with a spinner, `text` and the seconds, gone when the block ends."""
    if not wanted or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    # rich is imported where there is something to draw: the start of the command line need not wait for it
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        shown.add_task(text, total=None)
        yield
