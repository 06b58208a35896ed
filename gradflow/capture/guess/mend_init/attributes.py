"""A model is read for something that it does not have: `self.max_len = net.max_len` wants a `net` of a class that stores a `max_len`."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.construction.parts import models_of_the_package
from gradflow.capture.guess.mend_init.blamed import blamed_arguments
from gradflow.capture.guess.sources import definition_of
from gradflow.capture.guess.subject import Construction, Subject

_LACKS = re.compile(r"'(\w+)' object has no attribute '(\w+)'")
_MOST = 3


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The blamed arguments, as each model of the file or its package that has what was read."""
    found = _LACKS.search(failure.message)
    if found is None or not isinstance(failure.error, AttributeError):
        return
    names = [name for name in blamed_arguments(construction, failure) if re.search(rf"\b{name}\.{found[2]}\b", _line(failure))]
    if not names:
        return
    having = [other for other, cls in models_of_the_package(subject).items() if cls is not subject.cls and found[2] in stored_by(cls)]
    for name in names:
        yield from (construction.with_argument(name, f"<{other}>") for other in having[:_MOST])


def _line(failure: Failure) -> str:
    return failure.own[-1].text if failure.own else ""


@functools.lru_cache(maxsize=1024)
def stored_by(cls: type) -> frozenset[str]:
    """What the class's own methods store on `self`, and its properties and methods; nothing where there is no source."""
    tree = definition_of(cls)
    if tree is None:
        return frozenset()
    stored = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    return frozenset(stored | {name for name in vars(cls) if not name.startswith("__")})
