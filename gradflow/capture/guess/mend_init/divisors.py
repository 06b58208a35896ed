"""A number has to be divisible by another: they are made so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.mend_init.blamed import blamed_arguments
from gradflow.capture.guess.subject import Construction, Subject


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The blamed whole numbers become powers of two, the larger ones first; then one."""
    text = failure.spots[-1].text if failure.spots else ""
    if not re.search(r"divisible|multiple of|divide|reshape|view|factor", failure.message) and not re.search(r"%|//", text):
        return
    given = construction.given()
    numbers = [name for name in blamed_arguments(construction, failure) if re.fullmatch(r"\d+", given[name])]
    for value in ("64", "32", "4", "1", "128"):
        for name in numbers:
            if given[name] != value:
                yield construction.with_argument(name, value)
