"""A number has to be divisible by another: they are made so."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.mend_init.blamed import blamed_arguments
from gradflow.capture.guess.subject import Construction, Subject

_DIVIDES = re.compile(r"divisible|multiple of|divide|reshape|view|factor")
_PAIR = re.compile(r"divisible|multiple of|in chunks of")
_WORD = re.compile(r"[A-Za-z_]\w*")
_USUAL = 64


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """What has the one value becomes a multiple of the other; else the blamed whole numbers become powers of two, the larger ones first."""
    text = failure.spots[-1].text if failure.spots else ""
    if not _DIVIDES.search(failure.message) and not re.search(r"%|//", text):
        return
    yield from multiples(construction, failure)
    given = construction.given()
    numbers = [name for name in blamed_arguments(construction, failure) if re.fullmatch(r"\d+", given[name])]
    for value in ("64", "32", "4", "1", "128"):
        for name in numbers:
            if given[name] != value:
                yield construction.with_argument(name, value)


def _pair(failure: Failure) -> tuple[int, int] | None:
    """(number, divisor) that the message speaks of: written out in it, else the values of the variables that it names."""
    if not _PAIR.search(failure.message):
        return None
    written = [int(word) for word in re.findall(r"(?<![\w.])\d+(?![\w.])", failure.message)]
    if len(written) >= 2 and all(written[:2]):
        return written[0], written[1]
    for spot in reversed(failure.own):
        named = [spot.variables[word] for word in dict.fromkeys(_WORD.findall(failure.message)) if word in spot.variables]
        numbers = [value for value in named if isinstance(value, int) and not isinstance(value, bool) and value > 0]
        if len(numbers) == 2:
            return numbers[0], numbers[1]
    return None


def multiples(construction: Construction, failure: Failure) -> Iterator[Construction]:
    """Each argument that is the number which the message speaks of or holds it, alone and together, as a multiple of its divisor; then
    each that is the divisor, as a divisor."""
    number, divisor = _pair(failure) or (1, 1)
    if divisor == 1:
        return
    multiple = _USUAL if _USUAL % divisor == 0 and number <= _USUAL else divisor * math.ceil(number / divisor)
    for old, new in ((number, multiple), (divisor, math.gcd(number, divisor))):
        together = construction
        for name, text in construction.given().items():
            changed = _with_number(text, old, new)
            if changed != text:
                yield construction.with_argument(name, changed)
                together = together.with_argument(name, changed) if "." not in name else together
        if together != construction:
            yield together


def _with_number(text: str, old: int, new: int) -> str:
    """The same number or list of numbers with one number in place of another."""
    value = literal(text)
    if isinstance(value, (tuple, list)) and all(isinstance(one, int) for one in value):
        return repr(type(value)(new if one == old and not isinstance(one, bool) else one for one in value))
    return str(new) if type(value) is int and value == old else text
