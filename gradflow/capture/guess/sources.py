"""The syntax tree of one class or function that was imported, as it stands in its file."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
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


@functools.lru_cache(maxsize=16)
def tree_of(file: str) -> ast.Module:
    """A whole file; an empty one where it cannot be read."""
    try:
        return ast.parse(Path(file).read_text("utf-8", errors="replace"))
    except (OSError, SyntaxError):
        return ast.Module([], [])


def function_at(file: str, line: int) -> ast.FunctionDef | None:
    """The innermost function that a line of a file stands in."""
    around = [
        node
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno, default=None)
