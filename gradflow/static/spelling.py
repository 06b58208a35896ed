"""How expressions are written: names for messages and for comparing."""

from __future__ import annotations

import ast


def label_of(node: ast.AST) -> str:
    """What the user wrote, cut short: the label of a cut."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else text[:57] + "..."


def last_name(node: ast.expr) -> str:
    """`cached_property` for `functools.cached_property`."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def spelled(expression: ast.expr) -> str:
    """The dotted name of an expression as it is written, empty where it is none."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        return f"{spelled(expression.value)}.{expression.attr}"
    if isinstance(expression, ast.Subscript):
        return spelled(expression.value)
    return ""
