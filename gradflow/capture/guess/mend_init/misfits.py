"""The model was built, and one of its layers is given another width than it was built for: the two sizes of the model are made equal.

`Block(width=64, context_width=2240)` whose first layer takes 2,240 features is given the 64 of the layer before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.mend_call.proportions import wanted_sizes
from gradflow.capture.guess.subject import Construction, Subject

_NUMBER = re.compile(r"\d+$")
_SHARED = re.compile(r"channels|dim|width|size|features|planes|classes|labels|^d_")


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each argument that is the one size, as the other; then each that adds nothing to a width, as what lacks."""
    given = {name: text for name, text in construction.given().items() if _NUMBER.match(text) and _SHARED.search(name)}
    for got, wanted in wanted_sizes(failure.message)[:1]:
        for old, new in ((wanted, got), (got, wanted)):
            yield from (construction.with_argument(name, str(new)) for name, text in given.items() if text == str(old))
        if got > wanted:
            yield from (construction.with_argument(name, str(got - wanted)) for name, text in given.items() if text == "0")
