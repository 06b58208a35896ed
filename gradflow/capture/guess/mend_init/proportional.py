"""The model was built with several widths made equal, and its call fails: they are made as much smaller as the smallest of them, each.

`Coder(widths=(32, 32, 32))` in place of (128, 256, 512), whose layers add what twice as many channels are halved to: (32, 64, 128).
"""

from __future__ import annotations

from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.small import NARROW
from gradflow.capture.guess.subject import Construction, Subject, parameters_of


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """All that were made equal and are not by default, together."""
    parameters = parameters_of(subject.scope.get(construction.callee))
    mended = construction
    for name, text in construction.arguments:
        meant = parameters[name].default if name in parameters else None
        if isinstance(meant, (tuple, list)) and _is_equal(literal(text)) and all(type(width) is int for width in meant):
            scale = max(min(meant) // NARROW, 1)
            mended = mended.with_argument(name, repr(type(meant)(width // scale for width in meant)))
    if mended != construction:
        yield mended


def _is_equal(widths: object) -> bool:
    return isinstance(widths, (tuple, list)) and len(widths) > 1 and set(widths) == {NARROW}
