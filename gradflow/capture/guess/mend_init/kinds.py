"""An argument is of the wrong kind: a number where several, a function or a layer are meant."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.mend_init.blamed import blamed_arguments, is_used_so
from gradflow.capture.guess.subject import Construction, Subject

_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"is not (iterable|subscriptable)|has no len|object of type 'int'|cannot unpack non-iterable|must be (a "
     r"|an )?(tuple|list|sequence)|'int' and 'list'|index out of range|not enough values|must be of length",
     ("({0}, {0})", "[{0}, {0}]", "({0}, {0}, {0}, {0})", "[{0}] * 4", "({0}, {0}, {0})", "[{0}]", "[({0}, {0}), ({0}, {0})]")),
    (r"object is not callable", ("nn.Identity", "nn.ReLU", "nn.LayerNorm", "nn.BatchNorm2d", "lambda *a, **k: nn.Identity()", "nn.Linear")),
    (r"is not a Module subclass|cannot assign|not a valid child", ("nn.Identity()", "nn.Linear(64, 64)", "None")),
    (r"object has no attribute '(parameters|modules|to|state_dict)'", ("nn.Identity()", "nn.Linear(64, 64)", "None")),
    (r"'tuple' object has no attribute|can only concatenate list|(must|should) be (a )?list", ("[{0}, {0}]", "[{0}, {0}, {0}, {0}]")),
    (r"too many values to unpack", ("({0}, {0})", "({0}, {0}, {0})", "{0}")),
    (r"not supported between|can't multiply|unsupported operand|cannot be interpreted as an integer|must be real number"
     r"|expected.*int|argument must be|must be (int|tuple of ints)|should be (int|a number)",
     ("64", "2", "0.5", "({0}, {0})")),
)  # fmt: skip

_MOST, _TOGETHER = 4, 2
_ONE = re.compile(r"[\w.']+")
_HOLDS_FIELDS = re.compile(r"[A-Z]\w*\(|\{")
"""A configuration: only its fields are changed."""


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each blamed argument, as each kind that the message may mean; several that the line does the same with, together first."""
    given = construction.given()
    for pattern, kinds in _KINDS:
        if not re.search(pattern, failure.message):
            continue
        blamed = [name for name in blamed_arguments(construction, failure) if not _HOLDS_FIELDS.match(given[name])]
        ones = {name: next(iter(_ONE.findall(given[name])), "2") for name in blamed}
        alike = [name for name in blamed[:_MOST] if is_used_so(name, failure)]
        for kind in kinds[:_TOGETHER] if len(alike) > 1 else ():
            yield construction.with_arguments({name: kind.format(ones[name]) for name in alike})
        for kind, name in itertools.product(kinds, blamed[:_MOST]):
            text = kind.format(ones[name])
            if text != given[name]:
                yield construction.with_argument(name, text)
