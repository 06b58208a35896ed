"""What a file itself says of the fields of a configuration: constants that it compares them with, defaults, which may be missing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

ABSENT = object()
"""Stands for a field that the file asks for with `hasattr`: it works without it."""


def compared_words(tree: ast.Module) -> dict[str, Any]:
    """By name of a field, a value that it may have: of `cfg.kind == "a"`, `getattr(cfg, "kind", "a")` or `add_argument("--kind", ...)`."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        for name, value in _told(node):
            found.setdefault(name, value)
    return found


def _told(node: ast.AST) -> Iterator[tuple[str, Any]]:
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.In() | ast.NotEq() | ast.NotIn()], comparators=[right]):
            name, value = _field(left), _constant(right)
            if name and isinstance(value, (str, int)) and not isinstance(value, bool):
                yield name, value
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str() as name), default]):
            value = _constant(default)
            if value is not None:
                yield name, value
        case ast.Call(func=ast.Name(id="hasattr"), args=[ast.Name(), ast.Constant(value=str() as name)]):
            yield name, ABSENT
        case ast.Call(func=ast.Attribute(attr="add_argument"), args=[ast.Constant(value=str() as flag), *_], keywords=keywords):
            value = next((_constant(entry.value) for entry in keywords if entry.arg == "default"), None)
            if value is not None and flag.startswith("--"):
                yield flag.lstrip("-").replace("-", "_"), value


def _field(node: ast.expr) -> str:
    """`kind` of `cfg.kind`, `cfg["kind"]` and `cfg.kind.lower()`."""
    match node:
        case ast.Call(func=ast.Attribute(value=inner, attr="lower" | "upper" | "strip")):
            return _field(inner)
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
    return ""


def _constant(node: ast.expr) -> Any:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)) and node.elts:
        return _constant(node.elts[0])
    return node.value if isinstance(node, ast.Constant) else None
