"""Expressions of the user's file, as text: which may be evaluated for a guess, and with what in place of its names."""

from __future__ import annotations

import ast
import os
import sys
import types
from collections.abc import Mapping
from typing import Any

import torch

_PARTS = (
    ast.Expression, ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp, ast.BinOp, ast.Name, ast.Attribute, ast.Call,
    ast.keyword, ast.Load, ast.unaryop, ast.operator, ast.Subscript, ast.Slice, ast.Starred,
)  # fmt: skip
_DEPTH = 8


def namespace(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The names that a guess may use: those of the file, the models of its package and of the modules beside it that it imports functions
    from, and torch's where the file does not import them."""
    from functools import partial

    usual = {
        "torch": torch,
        "nn": torch.nn,
        "F": torch.nn.functional,
        "partial": partial,
        "SimpleNamespace": types.SimpleNamespace,
    }
    package = sys.modules.get(scope.get("__package__") or "")
    beside = {name: value for name, value in vars(package).items() if is_model(value)} if package is not None else {}
    return {**usual, **_of_neighbours(scope), **beside, **scope}


def _of_neighbours(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The models that the modules in the file's own directory define, of which it imports no more than functions that build them."""
    directory = os.path.dirname(str(scope.get("__file__") or ""))
    names = {value.__module__ for value in scope.values() if isinstance(value, types.FunctionType)} - {scope.get("__name__")}
    found: dict[str, Any] = {}
    for module in (sys.modules.get(name) for name in sorted(names) if directory):
        if module is not None and os.path.dirname(str(getattr(module, "__file__", ""))) == directory:
            found.update({name: value for name, value in vars(module).items() if is_model(value) and value.__module__ == module.__name__})
    return found


def is_model(value: Any) -> bool:
    """Whether the value is a class of models."""
    return isinstance(value, type) and issubclass(value, torch.nn.Module)


def literal(text: str) -> Any:
    """The value of an expression of literals, None where it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        return None


def evaluate(text: str, scope: Mapping[str, Any]) -> Any:
    """The value of an expression over `scope`; it raises what the user's code raises."""
    return eval(compile(text, "<guess>", "eval"), dict(scope))


def inlined(node: ast.expr, assigned: Mapping[str, ast.expr]) -> ast.expr:
    """`node` with each name that `assigned` knows replaced by what was assigned to it."""

    class Inline(ast.NodeTransformer):
        depth = 0

        def visit_Name(self, name: ast.Name) -> ast.expr:
            found = assigned.get(name.id)
            if found is None or self.depth >= _DEPTH:
                return name
            self.depth += 1
            out: ast.expr = self.visit(ast.parse(ast.unparse(found), mode="eval").body)
            self.depth -= 1
            return out

    out: ast.expr = Inline().visit(ast.parse(ast.unparse(node), mode="eval").body)
    return out


def is_plain(node: ast.expr, scope: Mapping[str, Any]) -> bool:
    """Whether evaluating `node` only makes a value: its names are known, and what it calls are classes or torch's functions."""
    for part in ast.walk(node):
        if not isinstance(part, _PARTS):
            return False
        if isinstance(part, ast.Name) and part.id not in scope and not hasattr(__builtins__, part.id) and part.id not in _BUILTINS:
            return False
        if isinstance(part, ast.Call) and not _makes_a_value(part.func, scope):
            return False
    return True


_BUILTINS = {"True", "False", "None", "int", "float", "str", "bool", "list", "tuple", "dict", "range", "len", "max", "min", "sum"}


def _makes_a_value(function: ast.expr, scope: Mapping[str, Any]) -> bool:
    root = function
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return False
    if root.id in ("torch", "nn", "partial", "functools", "np", "numpy") or root.id in _BUILTINS:
        return True
    return isinstance(function, ast.Name) and isinstance(scope.get(function.id), type)
