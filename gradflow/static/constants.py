"""What the source states as constants: bounds of slices, and comparisons of two constants."""

from __future__ import annotations

import ast
from typing import Any

from gradflow.static.values import NOTHING, Const, Value


def bound_of(node: ast.expr | None) -> int | None:
    """A bound of a slice that the source states."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = bound_of(node.operand)
        return None if inner is None else -inner
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else None


def compared(operation: ast.cmpop, left: Any, right: Any) -> Value:
    """Two constants of the source, where they can be compared."""
    if isinstance(operation, ast.Eq | ast.NotEq):
        return Value(0, (), Const((left == right) is isinstance(operation, ast.Eq)))
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return NOTHING
    results = {ast.Lt: left < right, ast.LtE: left <= right, ast.Gt: left > right, ast.GtE: left >= right}
    return Value(0, (), Const(results[type(operation)])) if type(operation) in results else NOTHING
