"""The defaults make a model of more parameters than a try may have, or one that takes too long: its sizes are made small."""

from __future__ import annotations

from collections.abc import Iterator

from gradflow.capture.fake import TooManyParameters
from gradflow.capture.guess.attempt import Failure, TooSlow
from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.small import ONLY_DEPTH, smaller_sizes
from gradflow.capture.guess.subject import Construction, Subject, parameters_of


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Fewer layers first, then narrower ones too."""
    if not isinstance(failure.error, (TooManyParameters, TooSlow)):
        return
    defaults = {name: entry.default for name, entry in parameters_of(subject.scope.get(construction.callee)).items()}
    given = {name: value for name, text in construction.arguments if (value := literal(text)) is not None}
    smaller = smaller_sizes({**defaults, **{name: None for name, _ in construction.arguments}, **given})
    for chosen in ([name for name in smaller if ONLY_DEPTH.search(name)], list(smaller)):
        shrunk = construction
        for name in chosen:
            shrunk = shrunk.with_argument(name, repr(smaller[name]))
        if chosen:
            yield shrunk
