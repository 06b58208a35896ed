"""A `raise` or an `assert` stands behind conditions that compare arguments: these are given what they are compared with.

`if depth == 18: ... elif depth == 50: ... else: raise NotImplementedError` wants a depth of 18; `if depth not in BLOCKS: raise ...` one of
the keys of `BLOCKS`. A word that is refused becomes another that the function knows. Reads the file that raised.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from typing import Any

from gradflow.capture.guess.attempt import Failure, Spot, attempt
from gradflow.capture.guess.conditions import conditions_at
from gradflow.capture.guess.expressions import evaluate
from gradflow.capture.guess.sources import function_at
from gradflow.capture.guess.subject import Construction, Subject

_MOST_VALUES = 4


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each argument or field that a condition around the failing line names, with each value that would get past it."""
    if not failure.own:
        return
    spot, given = failure.own[-1], construction.given()
    paths: dict[str, str] = {}
    for path in given:
        paths.setdefault(path.rpartition(".")[2], path)
    for name, value in dict.fromkeys(_wanted(spot)):
        path = paths.get(name, "")
        if path and given[path] != repr(value):
            yield construction.with_argument(path, repr(value))


def _wanted(spot: Spot) -> Iterator[tuple[str, Any]]:
    """(name, value) for what the conditions around the line of the frame are about, the nearest condition first."""
    compared = [
        (node, holds)
        for test, holds in conditions_at(spot)
        for node in ast.walk(test)
        if isinstance(node, ast.Compare) and len(node.ops) == 1
    ]
    for node, holds in compared:
        yield from itertools.islice(_values(node, holds, spot), _MOST_VALUES)
    yield from itertools.islice(_words_instead([node for node, holds in compared if not holds], spot), _MOST_VALUES)


def _values(node: ast.Compare, holds: bool, spot: Spot) -> Iterator[tuple[str, Any]]:
    """What makes the comparison come out as it should: the other side of `==`, an entry of what it should be in."""
    operator, other = node.ops[0], node.comparators[0]
    wanted = isinstance(operator, (ast.Eq, ast.In)) if holds else isinstance(operator, (ast.NotEq, ast.NotIn))
    name = _name(node.left)
    # of a list, it is the length that has to change, which another rule does
    if not wanted or not name or any(isinstance(part, ast.Name) and part.id == "len" for part in ast.walk(other)):
        return
    value, failure = attempt(lambda: evaluate(ast.unparse(other), {**spot.scope, **spot.variables}), 1.0)
    if failure is not None:
        return
    entries = (
        list(value) if isinstance(operator, (ast.In, ast.NotIn)) and isinstance(value, (dict, list, tuple, set, frozenset)) else [value]
    )
    plain = (entry for entry in entries if isinstance(entry, (str, int, float, bool)))
    yield from ((name, entry) for entry in (sorted(plain, key=repr) if isinstance(value, (set, frozenset)) else plain))


def _words_instead(unwanted: list[ast.Compare], spot: Spot) -> Iterator[tuple[str, str]]:
    """In place of words that are refused, `if kind == "a": raise`, the others that the function compares with the same."""
    refused = [node for node in unwanted if isinstance(node.ops[0], (ast.Eq, ast.In))]
    words = {word for node in refused for word in _words(node)}
    about = {ast.dump(node.left): _name(node.left) for node in refused}
    function = function_at(spot.file, spot.line) if refused else None
    for node in ast.walk(function) if function is not None else ():
        if isinstance(node, ast.Compare) and ast.dump(node.left) in about:
            yield from ((about[ast.dump(node.left)], word) for word in _words(node) if word not in words)


def _words(node: ast.Compare) -> list[str]:
    """What something is compared with, where that is written out."""
    parts = [part for side in node.comparators for part in ast.walk(side)]
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _name(node: ast.expr) -> str:
    """The argument or field that is compared: `depth`, `self.depth`, `config.depth`, `kind.lower()`."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
