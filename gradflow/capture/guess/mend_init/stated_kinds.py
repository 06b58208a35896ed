"""A constructor asserts of which class its argument is: `assert isinstance(student, (SmallViT, Distilled))`. It gets one of them.

Of a plain kind, `isinstance(sizes, tuple)`, the argument gets a value of that kind.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure, Spot, attempt
from gradflow.capture.guess.conditions import conditions_at
from gradflow.capture.guess.expressions import evaluate, is_model
from gradflow.capture.guess.subject import Construction, Subject
from gradflow.capture.guess.usual import usual_value

_PLAIN = {tuple: "({0}, {0})", list: "[{0}, {0}]", dict: "{{}}", float: "0.5", int: "2", str: "''", bool: "True"}


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each argument that a condition around the failing line asks the class of, as each of these classes."""
    if not failure.own:
        return
    spot = failure.own[-1]
    given = construction.given()
    for name, kinds in _asked(spot):
        text = given.get(name, "")
        for kind in kinds if text else ():
            if is_model(kind) and kind is not subject.cls:
                place = next((known for known, value in subject.scope.items() if value is kind), "")
                yield from (construction.with_argument(name, f"<{place}>"),) if place else ()
            elif kind in _PLAIN:
                one = text if re.fullmatch(r"[\w.]+", text) and text != "None" else usual_value(name)
                yield construction.with_argument(name, _PLAIN[kind].format(one))


def _asked(spot: Spot) -> Iterator[tuple[str, tuple[type, ...]]]:
    """(argument, classes) for each `isinstance` in the conditions that have to hold around the line."""
    for test, holds in conditions_at(spot):
        for node in ast.walk(test):
            wanted = holds if not _is_negated(test, node) else not holds
            if wanted and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                name = node.args[0].id if node.args and isinstance(node.args[0], ast.Name) else ""
                found, failed = attempt(lambda node=node: evaluate(ast.unparse(node.args[1]), {**spot.scope, **spot.variables}), 1.0)  # type: ignore[misc]
                if name and failed is None:
                    yield name, found if isinstance(found, tuple) else (found,)


def _is_negated(test: ast.expr, inside: ast.AST) -> bool:
    return any(
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and any(part is inside for part in ast.walk(node))
        for node in ast.walk(test)
    )
