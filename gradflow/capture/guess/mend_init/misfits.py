"""The model was built, and one of its layers is given another width than it was built for: the two sizes of the model are made equal.

`Block(width=64, context_width=2240)` whose first layer takes 2,240 features is given the 64 of the layer before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.mend_call.matching import split_sizes
from gradflow.capture.guess.mend_call.proportions import wanted_sizes
from gradflow.capture.guess.mend_init.divisors import multiples
from gradflow.capture.guess.mend_init.unset import path_of
from gradflow.capture.guess.subject import Construction, Subject

_NUMBER = re.compile(r"\d+$")
_SHARED = re.compile(r"channels|dim|width|size|features|planes|classes|labels|^d_")
_DEEPEST = 3
"""Configurations in each other."""
_SPLIT_WIDTH = re.compile(r"(^|\.)(head_dim|hidden_size|d_model|dim|width)$")


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each argument that is the larger size, as the smaller, and then all that are; then the other way round; of what is split into
    parts, a width in proportion; then each that adds nothing to a width, as what lacks. What cannot be divided becomes a multiple."""
    yield from multiples(construction, failure)
    given = {name: text for name, text in construction.given().items() if _NUMBER.match(text) and _SHARED.search(name)}
    given = {**_of_the_configuration(construction, failure), **given}
    split = split_sizes(failure.message)
    for got, wanted in [split] if split is not None else wanted_sizes(failure.message)[:1]:
        for new, old in sorted(((wanted, got), (got, wanted))):
            names = [name for name, text in given.items() if text == str(old)]
            yield from (construction.with_argument(name, str(new)) for name in names)
            yield from (construction.with_arguments(dict.fromkeys(names, str(new))),) if len(names) > 1 else ()
        if split is not None:
            heads = {name: int(text) * wanted for name, text in given.items() if _SPLIT_WIDTH.search(name)}
            yield from (construction.with_argument(name, str(product // got)) for name, product in heads.items() if product % got == 0)
        if got > wanted:
            yield from (construction.with_argument(name, str(got - wanted)) for name, text in given.items() if text == "0")


def _of_the_configuration(construction: Construction, failure: Failure) -> dict[str, str]:
    """The widths that the configuration of the failing layers has by default, as fields of the argument that is this configuration, and
    those of the configurations that it holds."""
    found: dict[str, str] = {}
    for spot in reversed(failure.own):
        held = getattr(spot.variables.get("self"), "config", None)
        path = path_of(construction, held, failure) if hasattr(held, "__dict__") else ""
        for name, width in _widths(held, path, 0) if path else ():
            found.setdefault(name, width)
    return found


def _widths(config: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    for name, value in vars(config).items():
        if type(value) is int and _SHARED.search(name):
            yield f"{path}.{name}", str(value)
        elif name.endswith("_config") and hasattr(value, "__dict__") and depth < _DEEPEST:
            yield from _widths(value, f"{path}.{name}", depth + 1)
