"""Nothing surer is known: the blamed arguments are given other usual values, one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.mend_init.blamed import blamed_arguments
from gradflow.capture.guess.subject import Construction, Subject
from gradflow.capture.guess.usual import alternatives

_MOST_ARGUMENTS, _MOST_VALUES = 3, 6


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """A few values for a few arguments."""
    given = construction.given()
    for name in blamed_arguments(construction, failure)[:_MOST_ARGUMENTS]:
        # of a configuration only the fields are changed
        if re.match(r"[A-Z]\w*\(|\{", given[name]) or name.endswith("_config"):
            continue
        for text in alternatives(name, given[name])[:_MOST_VALUES]:
            yield construction.with_argument(name, text)
