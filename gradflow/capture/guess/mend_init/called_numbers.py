"""The model was built, and its call calls a number: the argument that it was is a layer, or a list of layers.

`Sequence(blocks)` with `for f, g in blocks` takes pairs of numbers, and only its call finds out that they are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required

_CALLED = re.compile(r"'(int|float|str|NoneType|Made)' object is not callable")
_LAYER = "nn.Linear(64, 64)"
_MOST = 3


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each argument that the class cannot do without, the last first, with layers in place of its numbers."""
    if not _CALLED.search(failure.message):
        return
    given = construction.given()
    needed = [entry.name for entry in required(parameters_of(subject.cls))]
    for name in [name for name in reversed(needed) if name in given][:_MOST]:
        text = given[name]
        layers = re.sub(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", _LAYER, text) if re.fullmatch(r"[\d\s,()\[\].]+", text) else _LAYER
        yield construction.with_argument(name, layers)
        if layers == _LAYER:
            yield construction.with_argument(name, f"[({_LAYER}, {_LAYER}), ({_LAYER}, {_LAYER})]")
