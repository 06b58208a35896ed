"""Each argument without a default is given what an argument of its name and annotation usually is, or has by default elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.construction.defaults import fetch_nothing
from gradflow.capture.guess.namesakes import default_elsewhere
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required
from gradflow.capture.guess.usual import WIDTH, annotation_of, is_several, tells_something, usual_value

_SMALL = re.compile(
    r"^(n|num)_|depth|layers?$|kernel|stride|ratio|scale|factor|mult|blocks?$|stages?$|^k$|expand|padding|dilation|groups?$"
)
"""What is not made wide: numbers of things, and what a width is multiplied with."""


def propose(subject: Subject) -> Iterator[Construction]:
    """One construction; the errors that it raises tell what to change."""
    needed = required(parameters_of(subject.cls))
    if not needed:
        return
    words = {name: repr(word) for name, word in subject.words.items() if type(word) is str}
    unknown = [entry for entry in needed if not tells_something(entry.name)]
    elsewhere = {entry.name: default_elsewhere(entry.name, annotation_of(entry), subject) for entry in unknown}
    told = {**elsewhere, **words}
    given = [(entry.name, told.get(entry.name) or usual_value(entry.name, annotation_of(entry))) for entry in needed]
    yield Construction(subject.name, (*given, *fetch_nothing(subject.cls)), "the usual values of its arguments")
    plural = [(name, f"({text}, {text})" if is_several(name) and not text.startswith("(") else text) for name, text in given]
    if plural != given:
        yield Construction(subject.name, tuple(plural), "the usual values of its arguments")
    wider = [(name, str(WIDTH) if text in ("2", "3") and not _SMALL.search(name) else text) for name, text in given]
    if wider != given:
        yield Construction(subject.name, tuple(wider), "the usual values of its arguments")
