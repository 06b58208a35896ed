"""The model was built, and its call calls a number, or goes through it: the argument that it was is a layer, a list of layers, or several.

`Sequence(blocks)` with `for f, g in blocks` takes pairs of numbers, and only its call finds out that they are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required

_CALLED = re.compile(r"'(int|float|str|NoneType|Made)' object is not callable")
_ITERATED = re.compile(r"'(int|float)' object is not (iterable|subscriptable)|object of type '(int|float)' has no len")
_FUNCTION = re.compile(r"act|func|_fn$|nonlin")
_LAYER, _ACTIVATION = "nn.Linear(64, 64)", "nn.ReLU()"
_MOST = 3


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Those that the failing line names, else each argument that the class cannot do without, the last first, with layers in place of its
    numbers; what is gone through as several numbers."""
    given = construction.given()
    named = re.findall(r"\w+", failure.own[-1].text) if failure.own else []
    if _ITERATED.search(failure.message):
        several = [name for name in dict.fromkeys(named) if re.fullmatch(r"[\d.]+", given.get(name, ""))]
        yield from (construction.with_argument(name, f"({given[name]}, {given[name]})") for name in several)
    if not _CALLED.search(failure.message):
        return
    needed = [entry.name for entry in required(parameters_of(subject.cls))]
    blamed = [name for name in needed if name in named and name in given]
    for name in (blamed or [name for name in reversed(needed) if name in given])[:_MOST]:
        text = given[name]
        layer = _ACTIVATION if _FUNCTION.search(name) else _LAYER
        layers = re.sub(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", layer, text) if re.fullmatch(r"[\d\s,()\[\].]+", text) else layer
        yield construction.with_argument(name, layers)
        if layers == _LAYER:
            yield construction.with_argument(name, f"[({_LAYER}, {_LAYER}), ({_LAYER}, {_LAYER})]")
