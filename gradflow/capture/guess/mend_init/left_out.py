"""An assertion fails, and the file says which fields of a configuration may be None: they are left out, one at a time."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure, Spot
from gradflow.capture.guess.compared import Told
from gradflow.capture.guess.conditions import statements_of
from gradflow.capture.guess.sources import function_at
from gradflow.capture.guess.subject import Construction, Subject


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """`GPT(config)` that takes either a `model_type` or its sizes, and asserts that not both are given: what the asserted variables were
    computed from comes first."""
    if not isinstance(failure.error, (AssertionError, ValueError)):
        return
    given = {name: text for name, text in construction.given().items() if "." in name and text != "None"}
    behind = list(dict.fromkeys(_asked_for_none(failure.own[-1]))) if failure.own else []
    optional = [name for name in given if subject.words.get(name.rpartition(".")[2]) is Told.OPTIONAL]
    first = [name for field in behind for name in given if name.rpartition(".")[2] == field]
    for name in dict.fromkeys([*first, *optional]):
        yield construction.with_argument(name, "None")


def _asked_for_none(spot: Spot) -> Iterator[str]:
    """The fields that are compared with None in what the names of the failing line were assigned, in the order of these names.

    `given = config.kind is not None`, and then `assert given != sized`.
    """
    function = function_at(spot.file, spot.line)
    here = {part.id for statement in statements_of(spot) for part in ast.walk(statement) if isinstance(part, ast.Name)}
    for node in ast.walk(function) if function is not None else ():
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id in here for target in node.targets):
            for part in ast.walk(node.value):
                match part:
                    case ast.Compare(left=ast.Attribute(attr=field), ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None)]):
                        yield field
