"""Reads in the source what hangs on a truth value that nobody knows: an `assert`, a branch that raises, a loop that waits for it."""

from __future__ import annotations

import ast
import itertools
from dataclasses import dataclass

from gradflow.capture.facts.source import parsed
from gradflow.capture.flow.trace import Place


@dataclass(frozen=True, slots=True)
class Branch:
    """`healthy`: the truth value with which the program goes on, None where both do. `waits`: a `while` stands round it."""

    healthy: bool | None = None
    waits: bool = False


Span = tuple[int, int, int, int]
"""(line, end_line, column, end_column), columns from 0 and in bytes, as `ast` counts; column -1 where only lines are known."""


def branch_at(place: Place) -> Branch:
    """What hangs on the truth value that the code at `place` asks for."""
    tree = parsed(place.code.co_filename)
    if tree is None:
        return Branch()
    span = _span(place)
    around = [node for node in ast.walk(tree) if isinstance(node, (ast.stmt, ast.expr)) and _covers(node, span)]
    waits = any(isinstance(node, ast.While) for node in around)
    # `ast.walk` goes from the outside in, so the last one is the innermost. A jump may stand for its test or for the whole statement.
    tests = [
        node for node in around if isinstance(node, (ast.If, ast.Assert)) and (_covers(node.test, span) or _covers_no_more(node, span))
    ]
    wanted = _wanted(tests[-1]) if tests else None
    if wanted is None:
        return Branch(None, waits)
    return Branch(wanted ^ bool(_negations(tests[-1].test, span) % 2), waits)


def _span(place: Place) -> Span:
    """The position of the instruction: of its expression from Python 3.11 on, of its line before."""
    positions = getattr(place.code, "co_positions", None)
    if positions is not None:
        line, end_line, column, end_column = next(itertools.islice(positions(), place.instruction // 2, None))
        if None not in (line, end_line, column, end_column):
            return line, end_line, column, end_column
    line = next((number for start, end, number in place.code.co_lines() if start <= place.instruction < end), None) or 0
    return line, line, -1, -1


def _negations(test: ast.expr, span: Span) -> int:
    """How many `not` stand between a test and the expression at `span`; those at its head where the span is not inside of it."""
    inside = span[2] >= 0 and _covers(test, span)
    count = 0
    for node in ast.walk(test):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            count += _covers(node, span) if inside else 1
        elif not inside:
            break
    return count


def _wanted(statement: ast.If | ast.Assert) -> bool | None:
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement.body[-1], ast.Raise):
        return False
    return True if statement.orelse and isinstance(statement.orelse[-1], ast.Raise) else None


def _covers(node: ast.stmt | ast.expr, span: Span) -> bool:
    line, end_line, column, end_column = span
    last = node.end_lineno or node.lineno
    if column < 0:
        return node.lineno <= line <= last
    return (node.lineno, node.col_offset) <= (line, column) and (end_line, end_column) <= (last, node.end_col_offset or 0)


def _covers_no_more(node: ast.stmt, span: Span) -> bool:
    line, end_line, column, end_column = span
    if column < 0:
        return node.lineno == line
    return (line, column, end_line, end_column) == (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
