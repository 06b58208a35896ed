"""An argument is missing, or one is not known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.construction.parts import candidates
from gradflow.capture.guess.subject import Construction, Subject
from gradflow.capture.guess.usual import usual_value

MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)")
"""The message of Python for a call that lacks arguments."""
_UNKNOWN = re.compile(r"unexpected keyword argument '(\w+)'")
_OTHER = re.compile(r"(\w+)\.__init__\(\)")


def is_misnamed(construction: Construction, failure: Failure) -> bool:
    """Whether the call itself is wrong, and not one that the constructor makes: a decorator may stand between."""
    if not isinstance(failure.error, TypeError) or not (MISSING.search(failure.message) or _UNKNOWN.search(failure.message)):
        return False
    called = _OTHER.match(failure.message)
    return not failure.spots or (len(failure.spots) == 1 and (called is None or not re.search(rf"\b{called[1]}\(", failure.spots[0].text)))


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The missing ones are given, the unknown one is left out."""
    missing, unknown = MISSING.search(failure.message), _UNKNOWN.search(failure.message)
    if missing and is_misnamed(construction, failure):
        new = construction
        for name in re.findall(r"'(\w+)'", missing[1]):
            new = new.with_argument(name, next(candidates(name, "", subject), usual_value(name)))
        yield new
    if unknown and unknown[1] in dict(construction.arguments):
        yield construction.without(unknown[1])
