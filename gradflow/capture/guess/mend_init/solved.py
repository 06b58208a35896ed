"""A condition before a `raise`, or an `assert`, that no value in it satisfies as it stands: numbers are tried in it until one does.

`if in_channels / out_channels != 2: raise ...` with 3 and 3 wants 6 and 3. The condition is computed, the constructor is not called.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure, Spot, attempt
from gradflow.capture.guess.conditions import conditions_at
from gradflow.capture.guess.expressions import evaluate
from gradflow.capture.guess.subject import Construction, Subject

_NUMBERS = (2, 4, 8, 1, 16, 32, 64, 3, 6, 12, 128, 0)
_SHARES = ((2, 1), (1, 2), (3, 1), (4, 1), (1, 4), (3, 2))
_MOST = 3
_SECONDS = 1.0


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each whole number that a condition around the failing line names, as the first numbers with which it passes."""
    if not failure.own:
        return
    spot = failure.own[-1]
    numbers = {name: int(text) for name, text in construction.given().items() if re.fullmatch(r"\d+", text)}
    for test, holds in conditions_at(spot):
        named = [node.id for node in ast.walk(test) if isinstance(node, ast.Name) and spot.variables.get(node.id) == numbers.get(node.id)]
        for name in dict.fromkeys(word for word in named if word in numbers):
            passing = (number for number in _candidates(name, numbers) if _passes(test, holds, spot, name, number))
            yield from (construction.with_argument(name, str(number)) for number, _ in zip(passing, range(_MOST), strict=False))


def _candidates(name: str, numbers: dict[str, int]) -> Iterator[int]:
    """The other arguments' values, twice and half of these, then what is usual."""
    others = list(dict.fromkeys(value for other, value in numbers.items() if other != name and value))
    near = (value * times // parts for times, parts in _SHARES for value in others if value * times % parts == 0)
    yield from dict.fromkeys(number for number in (*others, *near, *_NUMBERS) if number != numbers[name])


def _passes(test: ast.expr, holds: bool, spot: Spot, name: str, number: int) -> bool:
    value, failed = attempt(lambda: bool(evaluate(ast.unparse(test), {**spot.scope, **spot.variables, name: number})), _SECONDS)
    return failed is None and value is holds
