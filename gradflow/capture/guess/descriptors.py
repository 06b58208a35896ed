"""A number guessed for the name of a file is no open file: `open(1)` would be the standard output, and closed with what reads it."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def no_open_files_by_number() -> Iterator[None]:
    """While it lasts there is no such file as a number."""
    opened = builtins.open

    def open_otherwise(file: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, int):
            raise FileNotFoundError(f"No such file: {file}")
        return opened(file, *args, **kwargs)

    builtins.open = open_otherwise
    try:
        yield
    finally:
        builtins.open = opened
