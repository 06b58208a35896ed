"""Something was called, or taken for a layer, that is none: the argument is another model, or the class of one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.construction.parts import candidates
from gradflow.capture.guess.mend_init.blamed import blamed_arguments
from gradflow.capture.guess.subject import Construction, Subject, parameters_of
from gradflow.capture.guess.usual import annotation_of

_NO_MODEL = re.compile(
    r"object is not callable|is not a Module subclass|cannot assign|object has no attribute|could not be built|has no attribute"
)
_MOST = 8


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The blamed arguments, as each model of the file that their name or annotation may mean."""
    if not _NO_MODEL.search(failure.message):
        return
    parameters = parameters_of(subject.scope.get(construction.callee))
    given = construction.given()
    for name in blamed_arguments(construction, failure):
        if name in parameters:
            for text in list(candidates(name, annotation_of(parameters[name]), subject))[:_MOST]:
                if text != given[name]:
                    yield construction.with_argument(name, text)
