"""What a file itself says of the fields of a configuration: what it compares them with, which are several, which hold fields themselves.

Reads the syntax tree, runs nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum
from typing import Any


class Told(str, Enum):
    """What a field is, where no value of it is told."""

    ABSENT = "absent"  # asked for with `hasattr`: it works without it
    SEVERAL = "several"  # iterated over, measured, indexed
    NESTED = "nested"  # a configuration itself
    OPTIONAL = "optional"  # compared with None
    FLAG = "flag"  # asked whether it is true


_METHODS = {name for kind in (str, list, dict, tuple, int) for name in dir(kind)} | {
    "to",
    "type",
    "shape",
    "size",
    "device",
    "dtype",
    "data",
}
_OVER_SEVERAL = {"tuple", "list", "len", "zip", "enumerate", "sum", "sorted", "reversed", "max", "min", "iter", "set"}


def compared_words(tree: ast.Module) -> dict[str, Any]:
    """By name of a field, a value that it may have, else what it is.

    A value stands in `cfg.kind == "a"`, `getattr(cfg, "kind", "a")` and `add_argument("--kind", default="a")`. Of several, it is the one
    that stands first in the file: what is asked for first is the usual case.
    """
    values: dict[str, Any] = {}
    kinds: dict[str, Any] = {}
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.expr, ast.For, ast.If, ast.comprehension))]
    for node in sorted(nodes, key=_place):
        for name, value in _values(node):
            values.setdefault(name, value)
        for name, kind in _kinds(node):
            kinds.setdefault(name, kind)
    return {**kinds, **values}


def _place(node: ast.expr | ast.For | ast.If | ast.comprehension) -> tuple[int, int]:
    at = node.iter if isinstance(node, ast.comprehension) else node
    return (at.lineno, at.col_offset)


def _values(node: ast.AST) -> Iterator[tuple[str, Any]]:
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.In() | ast.NotEq() | ast.NotIn()], comparators=[right]):
            name, value = _field(left), _constant(right)
            if isinstance(left, ast.Name) and isinstance(value, str):
                yield left.id, value
            if name and isinstance(value, (str, int)) and not isinstance(value, bool):
                yield name, value
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str() as name), default]):
            value = _constant(default)
            if value is not None:
                yield name, value
        case ast.Call(func=ast.Attribute(attr="add_argument"), args=[ast.Constant(value=str() as flag), *_], keywords=keywords):
            value = next((_constant(entry.value) for entry in keywords if entry.arg == "default"), None)
            if value is not None and flag.startswith("--"):
                yield flag.lstrip("-").replace("-", "_"), value


def _kinds(node: ast.AST) -> Iterator[tuple[str, Told]]:
    match node:
        case ast.Call(func=ast.Name(id="hasattr"), args=[ast.Name(), ast.Constant(value=str() as name)]):
            yield name, Told.ABSENT
        case ast.If(test=asked) | ast.IfExp(test=asked) | ast.UnaryOp(op=ast.Not(), operand=asked):
            if name := _held_field(asked):
                yield name, Told.FLAG
        case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None)]):
            if name := _held_field(left):
                yield name, Told.OPTIONAL
        case ast.Call(func=ast.Name(id=function), args=args) if function in _OVER_SEVERAL:
            yield from ((name, Told.SEVERAL) for entry in args if (name := _name_or_field(entry)))
        case ast.For(iter=found) | ast.comprehension(iter=found) | ast.Starred(value=found):
            if name := _name_or_field(found):
                yield name, Told.SEVERAL
        case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[found]):
            if name := _name_or_field(found):
                yield name, Told.SEVERAL
        case ast.Subscript(value=found, slice=index) if not (isinstance(index, ast.Constant) and isinstance(index.value, str)):
            if name := _held_field(found):
                yield name, Told.SEVERAL
        case ast.Attribute(value=found, attr=inner) if inner not in _METHODS:
            if name := _held_field(found):
                yield name, Told.NESTED


def _name_or_field(node: ast.expr) -> str:
    """A field, or a variable, which is often called as the field that it holds."""
    return node.id if isinstance(node, ast.Name) else _held_field(node)


def _held_field(node: ast.expr) -> str:
    """The field, of something that is itself not `self`: `kind` of `cfg.kind` and `self.cfg.kind`."""
    name = _field(node)
    owner = node.value if isinstance(node, (ast.Attribute, ast.Subscript)) else None
    return "" if owner is None or (isinstance(owner, ast.Name) and owner.id in ("self", "cls", "torch", "nn", "F", "np", "math")) else name


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
