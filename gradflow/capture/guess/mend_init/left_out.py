"""An assertion fails, and the file says which fields of a configuration may be None: they are left out, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.compared import Told
from gradflow.capture.guess.subject import Construction, Subject


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """`GPT(config)` that takes either a `model_type` or its sizes, and asserts that not both are given."""
    if not isinstance(failure.error, (AssertionError, ValueError)):
        return
    for name, text in construction.given().items():
        if "." in name and text != "None" and subject.words.get(name.rpartition(".")[2]) is Told.OPTIONAL:
            yield construction.with_argument(name, "None")
