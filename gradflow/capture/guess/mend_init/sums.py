"""The entries of a list have to add up to a size: `assert sum(axes_dims) == dim // heads`. The list is made to."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure, Spot
from gradflow.capture.guess.conditions import conditions_at, value_at
from gradflow.capture.guess.subject import Construction, Subject


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each list that a condition around the failing line adds up, with as many entries, which are even where that is possible."""
    given = construction.given()
    for spot in failure.own[-1:]:
        for name, count, total in _asked(spot):
            path = next((known for known in given if known.rpartition(".")[2] == name), "")
            if path and 0 < count <= total:
                yield construction.with_argument(path, repr(_parts(count, total)))


def _parts(count: int, total: int) -> list[int]:
    """Equal parts, the first of which takes what is left over."""
    part = total // count
    even = part - part % 2 or part
    return [total - even * (count - 1), *[even] * (count - 1)]


def _asked(spot: Spot) -> Iterator[tuple[str, int, int]]:
    """(name of the list, number of its entries, what they should add up to) for each `sum(...)` that is compared with a size."""
    for test, holds in conditions_at(spot):
        for node in ast.walk(test):
            match node:
                case ast.Compare(left=left, ops=[operator], comparators=[right]) if isinstance(operator, ast.Eq if holds else ast.NotEq):
                    yield from (found for one, other in ((left, right), (right, left)) if (found := _sum(one, other, spot)) is not None)


def _sum(node: ast.expr, other: ast.expr, spot: Spot) -> tuple[str, int, int] | None:
    match node:
        case ast.Call(func=ast.Name(id="sum"), args=[(ast.Name(id=name) | ast.Attribute(attr=name)) as added]):
            values, total = (value_at(part, spot) for part in (added, other))
            if isinstance(values, (tuple, list)) and type(total) is int:
                return name, len(values), total
    return None
