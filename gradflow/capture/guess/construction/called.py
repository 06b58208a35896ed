"""Which arguments of a class are models: those that its constructor stores and its other methods call. Reads the class's source."""

from __future__ import annotations

import ast
import functools

from gradflow.capture.guess.sources import definition_of


@functools.lru_cache(maxsize=256)
def stored_and_called(cls: type) -> frozenset[str]:
    """The arguments of the constructor that are called as `self.name(...)` outside of it; none where there is no source.

    `self.net = net` and then `self.net(x)`: it is no number, and no configuration.
    """
    tree = definition_of(cls)
    if tree is None:
        return frozenset()
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    stored: dict[str, str] = {}
    for function in functions:
        if function.name == "__init__":
            arguments = {entry.arg for entry in (*function.args.args, *function.args.kwonlyargs)}
            stored = {field: name for node in ast.walk(function) for field, name in _stores(node) if name in arguments}
    called = {field for function in functions if function.name != "__init__" for node in ast.walk(function) if (field := _called(node))}
    return frozenset(name for field, name in stored.items() if field in called)


def _stores(node: ast.AST) -> list[tuple[str, str]]:
    """(field, name) of `self.field = name`."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Name):
        return []
    return [(target.attr, node.value.id) for target in node.targets if _is_own(target) and isinstance(target, ast.Attribute)]


def _called(node: ast.AST) -> str:
    """`field` of `self.field(...)`."""
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_own(node.func) else ""


def _is_own(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
