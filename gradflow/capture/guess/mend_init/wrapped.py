"""The model was built around another, and the call of that one fails: it is built around the next that may be meant."""

from __future__ import annotations

from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.construction.parts import candidates
from gradflow.capture.guess.subject import Construction, Subject, parameters_of
from gradflow.capture.guess.usual import annotation_of

_MOST = 4


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each model that it was built around, as each other model of the file or of its package."""
    parameters = parameters_of(subject.scope.get(construction.callee))
    for name, given in construction.arguments:
        entry = parameters.get(name)
        others = list(candidates(name, annotation_of(entry), subject)) if entry is not None else []
        # what hands on what it is given fits any width
        likely = dict.fromkeys([*others[:1], "nn.Identity()", *others[1:]]) if "nn.Identity()" in others else others
        for text in list(likely)[:_MOST]:
            if text != given and text.strip("<>") != given.partition("(")[0]:
                yield construction.with_argument(name, text)
