"""The defaults make a model of more parameters than a try may have, or one that takes too long: its sizes are made small."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gradflow.capture.fake import TooManyParameters
from gradflow.capture.guess.attempt import Failure, TooSlow
from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.small import ONLY_DEPTH, is_larger, smaller_sizes
from gradflow.capture.guess.subject import Construction, Subject, parameters_of
from gradflow.capture.guess.usual import WIDTH, tells_something, usual_value

_DEPTHS = re.compile(r"depths$|(layers|blocks)(_per_\w+)?$|^num_(layers|blocks)$")
_SIZE = re.compile(r"dim|width|channels?|size|hidden|heads?$|layers?$|depth|experts|embd|d_model|d_ff|planes|features")
"""What a number has to be called to be taken for a size that may be smaller."""


def is_giant(failure: Failure) -> bool:
    """Whether the model was too large, or too slow to make: no other value of another kind would help."""
    return isinstance(failure.error, (TooManyParameters, TooSlow))


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Fewer layers first, then narrower ones too, by the names of sizes that are known; then all that is called like a size."""
    if not is_giant(failure):
        return
    defaults = {name: entry.default for name, entry in parameters_of(subject.scope.get(construction.callee)).items()}
    given = {name: value for name, text in construction.arguments if (value := literal(text)) is not None}
    sizes = {**defaults, **{name: None for name, _ in construction.arguments}, **given}
    smaller = smaller_sizes(sizes)
    further = {**_usual_sizes(sizes), **smaller}
    seen: list[dict[str, Any]] = [{}]
    for chosen in ({name: smaller[name] for name in smaller if ONLY_DEPTH.search(name)}, smaller, further):
        if chosen in seen:
            continue
        seen.append(chosen)
        shrunk = construction
        for name, value in chosen.items():
            shrunk = shrunk.with_argument(name, repr(value))
        yield shrunk


def _usual_sizes(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Each size that is larger than what is usual for its name, as is usual; of several numbers of layers, one each."""
    out: dict[str, Any] = {}
    for name, value in sizes.items():
        usual = literal(usual_value(name)) if tells_something(name) else WIDTH
        if isinstance(value, (tuple, list)) and value and _DEPTHS.search(name) and all(is_larger(one, 0) for one in value):
            out[name] = type(value)([1] * len(value))
        elif isinstance(usual, int) and is_larger(value, usual) and value > usual and (usual == WIDTH or _SIZE.search(name)):
            out[name] = usual
    return out
