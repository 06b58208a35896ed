"""An argument is missing, or one is not known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.construction.parts import candidates
from gradflow.capture.guess.subject import Construction, Subject
from gradflow.capture.guess.usual import usual_value


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The missing ones are given, the unknown one is left out."""
    missing = re.search(r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)", failure.message)
    if isinstance(failure.error, TypeError) and missing and len(failure.spots) <= 1:
        new = construction
        for name in re.findall(r"'(\w+)'", missing[1]):
            new = new.with_argument(name, next(candidates(name, "", subject), usual_value(name)))
        yield new
    unknown = re.search(r"unexpected keyword argument '(\w+)'", failure.message)
    if unknown and unknown[1] in dict(construction.arguments):
        yield construction.without(unknown[1])
