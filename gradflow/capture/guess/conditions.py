"""The conditions around a line that raised, read from its file: `if depth == 18: ... else: raise`, `assert x.shape[2] == self.heads`; and
what the expressions in them are.
"""

from __future__ import annotations

import ast
from typing import Any

from gradflow.capture.guess.attempt import Spot, attempt
from gradflow.capture.guess.expressions import evaluate
from gradflow.capture.guess.sources import tree_of

_SECONDS = 1.0


def conditions_at(spot: Spot) -> list[tuple[ast.expr, bool]]:
    """The conditions on the way to the line of a frame that raises or asserts, innermost first, each with what passes it by.

    Nothing where the line does neither.
    """
    found: list[tuple[ast.expr, bool]] = []
    body: list[ast.stmt] = tree_of(spot.file).body
    while True:
        inside = next((node for node in body if node.lineno <= spot.line <= (node.end_lineno or node.lineno)), None)
        if inside is None or isinstance(inside, ast.Raise):
            return found[::-1] if inside is not None else []
        if isinstance(inside, ast.Assert):
            return [(inside.test, True), *found[::-1]]
        if isinstance(inside, ast.If):
            is_else = bool(inside.orelse) and spot.line >= inside.orelse[0].lineno
            found.append((inside.test, is_else))
            body = inside.orelse if is_else else inside.body
        else:
            blocks = [getattr(inside, name, []) for name in ("body", "orelse", "finalbody", "handlers")]
            body = [node for block in blocks for node in block]


def stated_at(spot: Spot) -> list[tuple[ast.expr, bool]]:
    """The same; of a line that does neither, what it says itself: `torch._assert(h == self.height, "...")`."""
    around = conditions_at(spot)
    if around:
        return around
    return [(node.value, True) for node in statements_of(spot) if isinstance(node, ast.Expr)]


def statements_of(spot: Spot) -> list[ast.stmt]:
    """What stands in the line itself; nothing where it is only a part of a statement."""
    try:
        return ast.parse(spot.text.strip()).body
    except SyntaxError:
        return []


def value_at(node: ast.expr, spot: Spot) -> Any:
    """What the expression is in the frame, None where it cannot be told."""
    return attempt(lambda: evaluate(ast.unparse(node), {**spot.scope, **spot.variables}), _SECONDS)[0]
