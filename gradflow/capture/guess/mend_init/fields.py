"""Something is read from an argument that it does not have: the argument is an object that has it, or a dict."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.construction.called import stored_and_called
from gradflow.capture.guess.mend_init.blamed import blamed_arguments
from gradflow.capture.guess.subject import Construction, Subject


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The blamed argument becomes an object made up as it is read; a field of one that is made up becomes another."""
    found = re.search(r"'(int|float|str|tuple|NoneType|bool|dict)' object has no attribute '(\w+)'", failure.message)
    subscript = re.search(r"'(int|float|NoneType|bool)' object is not subscriptable", failure.message)
    if not found and not (subscript and re.search(r"\[['\"]\w+['\"]\]", failure.spots[-1].text if failure.spots else "")):
        return
    text = failure.spots[-1].text if failure.spots else ""
    called = stored_and_called(subject.cls)  # these are models: an object made up as it is read could not be called
    for name in blamed_arguments(construction, failure):
        given = construction.given()[name]
        if given.startswith("Made("):
            inner = re.findall(rf"\b{name}(?:\.(\w+)|\[['\"](\w+)['\"]\])", text)
            for field in dict.fromkeys(one or other for one, other in inner):
                separator = ", " if given != "Made()" else ""
                if f"{field}=" not in given:
                    yield construction.with_argument(name, f"{given[:-1]}{separator}{field}=Made())")
        elif (not given.endswith(")") or given.startswith("(")) and name not in called:
            yield construction.with_argument(name, "Made()")
