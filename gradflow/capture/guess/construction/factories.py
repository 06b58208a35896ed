"""A function of the file makes the class: it is called, the smallest model first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gradflow.capture.guess.construction.defaults import fetch_nothing
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required
from gradflow.capture.guess.usual import annotation_of, usual_value

_SMALL = ("test", "nano", "atto", "femto", "pico", "tiny", "mini", "micro", "xxs", "xs", "small", "_s_", "light", "18", "_s")
_LARGE = ("large", "huge", "giant", "giga", "xl", "_l_", "152", "101", "200", "_h_", "_g_", "enormous", "384", "512")
_MOST = 5


def propose_free(subject: Subject) -> Iterator[Construction]:
    """Calls of the functions that need no argument: what they make is the model as it is meant."""
    yield from _calls([name for name in subject.factories if not required(parameters_of(subject.scope[name]))], subject)


def propose(subject: Subject) -> Iterator[Construction]:
    """Calls of all of them, those that need fewer arguments first."""
    yield from _calls(subject.factories, subject)


def _calls(names: Sequence[str], subject: Subject) -> Iterator[Construction]:
    """The smallest first; their own weights are not fetched."""
    needed = {name: required(parameters_of(subject.scope[name])) for name in names}
    for name in sorted(needed, key=lambda name: (len(needed[name]), _size(name), subject.factories.index(name)))[:_MOST]:
        words = {word: repr(value) for word, value in subject.words.items() if type(value) is str}
        given = tuple((entry.name, words.get(entry.name) or usual_value(entry.name, annotation_of(entry))) for entry in needed[name])
        free = tuple(entry for entry in fetch_nothing(subject.scope[name]) if entry[0] not in dict(given))
        yield Construction(name, (*given, *free), f"the file's function `{name}`")


def _size(name: str) -> int:
    if any(re.search(mark, name) for mark in _SMALL):
        return 0
    if "mobilenet" in name:
        return 1  # even a large one
    return 3 if any(re.search(mark, name) for mark in _LARGE) else 2
