"""Which arguments of a construction an error speaks of: those in the failing expression, from the innermost frame outwards."""

from __future__ import annotations

import re

from gradflow.capture.guess.attempt import Failure, Spot
from gradflow.capture.guess.subject import Construction

_WORD = re.compile(r"[A-Za-z_]\w*")


def blamed_arguments(construction: Construction, failure: Failure) -> list[str]:
    """Names of arguments, the likeliest first: named in the message, then in the failing lines of their constructor."""
    given = construction.given()
    spoken = [word for word in _WORD.findall(failure.message) if word in given]
    own = [spot for spot in failure.spots if all(name in spot.variables for name in given)]
    written = [word for spot in reversed(own) for word in _words_of(spot) if word in given]
    return list(dict.fromkeys([*spoken, *written]))


def _words_of(spot: Spot) -> list[str]:
    """The names in its failing lines, and those that these were computed from, one step back."""
    return _WORD.findall(spot.text)
