"""Reads in the source what hangs on a truth value that nobody knows: an `assert`, a branch that raises, a loop that waits for it."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from gradflow.capture.facts.source import parsed
from gradflow.capture.flow.trace import Place


@dataclass(frozen=True, slots=True)
class Branch:
    """`healthy`: the truth value with which the program goes on, None where both do. `waits`: a `while` stands round it."""

    healthy: bool | None = None
    waits: bool = False


def branch_at(place: Place, span: tuple[int, int, int, int]) -> Branch:
    """What hangs on the expression at `span` (line, end_line, column, end_column; columns from 0) of the code at `place`."""
    tree = parsed(place.code.co_filename)
    if tree is None:
        return Branch()
    around = [node for node in ast.walk(tree) if isinstance(node, (ast.stmt, ast.expr)) and _covers(node, span)]
    waits = any(isinstance(node, ast.While) for node in around)
    # `ast.walk` goes from the outside in, so the last one is the innermost. The jump of an `assert` stands for the whole statement.
    tests = [node for node in around if isinstance(node, ast.Assert) or (isinstance(node, ast.If) and _covers(node.test, span))]
    wanted = _wanted(tests[-1]) if tests else None
    if wanted is None:
        return Branch(None, waits)
    return Branch(wanted ^ bool(_negations(tests[-1].test, span) % 2), waits)


def _negations(test: ast.expr, span: tuple[int, int, int, int]) -> int:
    """How many `not` stand between a test and the expression at `span`; those at its head where the span is not inside of it."""
    inside = _covers(test, span)
    count = 0
    for node in ast.walk(test):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            count += _covers(node.operand, span) if inside else 1
        elif not inside:
            break
    return count


def _wanted(statement: ast.If | ast.Assert) -> bool | None:
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement.body[-1], ast.Raise):
        return False
    return True if statement.orelse and isinstance(statement.orelse[-1], ast.Raise) else None


def _covers(node: ast.stmt | ast.expr, span: tuple[int, int, int, int]) -> bool:
    line, end_line, column, end_column = span
    if end_column <= 0:  # Python 3.10 knows lines only
        return node.lineno <= line <= (node.end_lineno or node.lineno)
    return (node.lineno, node.col_offset) <= (line, column) and (end_line, end_column) <= (
        node.end_lineno or node.lineno,
        node.end_col_offset or 0,
    )
