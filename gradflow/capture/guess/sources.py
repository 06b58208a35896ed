"""The syntax tree of one class or function that was imported, as it stands in its file."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from typing import Any


@functools.lru_cache(maxsize=512)
def definition_of(thing: type | Callable[..., Any]) -> ast.stmt | None:
    """Its definition; None where there is no source to read, as of what is written in C or was made at run time."""
    try:
        source = inspect.getsource(thing)
        is_inside = source[:1].isspace()
        body = ast.parse(f"if 1:\n{source}" if is_inside else source).body
    except (OSError, TypeError, SyntaxError):
        return None
    first = body[0] if body else None
    return first.body[0] if is_inside and isinstance(first, ast.If) else first
