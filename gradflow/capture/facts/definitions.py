"""Finds where a class of the user assigns an attribute: the `self.head = nn.Linear(...)` behind the parameter `head.weight`."""

from __future__ import annotations

import ast
from types import CodeType, FunctionType
from typing import Any

import torch

from gradflow.capture.facts.source import parsed, site_at
from gradflow.capture.flow.frames import is_library
from gradflow.graph.site import Site


def definition_of(root: torch.nn.Module, path: str) -> Site | None:
    """Where the user's code assigns what `path` (`layers.3.attn.weight`) names, or the nearest owner that user code assigns.

    Modules of torch itself (Linear, ModuleList) have no line of the user in them, so the search goes on with their owner.
    """
    names = path.replace("[", ".").replace("]", "").split(".")
    module: object = root
    owners: list[tuple[object, str]] = []
    for name in names:
        owners.append((module, name))
        module = step_into(module, name)
    for owner, name in reversed(owners):
        if isinstance(owner, torch.nn.Module):
            site = _assignment(type(owner), name)
            if site is not None:
                return site
    return None


def step_into(owner: Any, part: str) -> Any:
    """The part of a module, list or dict that a path names next, None where it has none of that name."""
    if isinstance(owner, torch.nn.Module):
        children: Any = owner._modules
        # What TorchScript keeps there is no dict. Copying one that is would make the cost of a long list grow with its square.
        found = children.get(part) if isinstance(children, dict) else dict(children.items()).get(part)
        return found if found is not None else owner.__dict__.get(part)
    if isinstance(owner, (list, tuple)):
        return owner[int(part)] if part.isdigit() and int(part) < len(owner) else None
    if isinstance(owner, dict):
        return next((value for key, value in owner.items() if repr(key) == part or key == part), None)
    return None


def _assignment(owner: type, name: str) -> Site | None:
    for cls in owner.__mro__:
        code = _any_code(cls)
        if code is None or is_library(code.co_filename):
            continue
        tree = _class_tree(cls, code)
        site = None if tree is None else _in_class(tree, cls, code, name)
        if site is not None:
            return site
    return None


def _any_code(cls: type) -> CodeType | None:
    init = cls.__dict__.get("__init__")
    if isinstance(init, FunctionType):
        return init.__code__
    return next((value.__code__ for value in cls.__dict__.values() if isinstance(value, FunctionType)), None)


def _class_tree(cls: type, code: CodeType) -> ast.ClassDef | None:
    for node in ast.walk(parsed(code.co_filename) or ast.Module([], [])):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__ and node.lineno <= code.co_firstlineno <= (node.end_lineno or 0):
            return node
    return None


def _in_class(tree: ast.ClassDef, cls: type, code: CodeType, name: str) -> Site | None:
    methods = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    methods.sort(key=lambda method: (method.name != "__init__", method.lineno))
    for method in methods:
        for node in ast.walk(method):
            span = _assigns(node, name)
            if span is not None:
                line, end_line, column, end_column = span
                if end_line != line:
                    end_line, end_column = line, 0
                return site_at(code.co_filename, (line, end_line, column, end_column), f"{cls.__qualname__}.{method.name}")
    return None


def _assigns(node: ast.AST, name: str) -> tuple[int, int, int, int] | None:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = [part for target in node.targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Call) and _registers(node, name):
        return node.lineno, node.end_lineno or node.lineno, node.col_offset, node.end_col_offset or 0
    for target in targets:
        if isinstance(target, ast.Subscript):
            target = target.value
        if isinstance(target, ast.Attribute) and target.attr == name and isinstance(target.value, ast.Name):
            return node.lineno, node.end_lineno or node.lineno, node.col_offset, node.end_col_offset or 0  # type: ignore[attr-defined]
    return None


def _registers(call: ast.Call, name: str) -> bool:
    """Whether the call is `self.add_module(name, ...)` or one of its kin."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("add_module", "register_module", "register_parameter"):
        return False
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == name
