"""An argument names layers of a model that is given beside it: `Features(model, return_layers={"layer4": "out"})`. It gets late ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.subject import Construction, Subject

_NAMES = re.compile(r"(^|_)(layers?|nodes?|modules?|hooks?|blocks?)(_?names?)?$")
_MOST = 2


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The names of late layers of the model that the failing constructor was given, as a dict, a list or one name."""
    models = [
        value
        for spot in failure.own
        for name, value in spot.variables.items()
        if name != "self" and isinstance(value, torch.nn.Module) and name in construction.given()
    ]
    layers = [name for name, _ in models[0].named_children()] if models else []
    if not layers:
        return
    # the very last one is often a head, which takes what another layer's output is reshaped to
    given, several = construction.given(), (layers[:-1] if len(layers) > _MOST else layers)[-_MOST:]
    for name in [name for name in given if _NAMES.search(name) and not re.fullmatch(r"\d+|<\w+>", given[name])]:
        shapes = (repr({layer: layer for layer in several}), repr(several), repr(several[-1]))
        for text in sorted(shapes, key=lambda text: text[0] != given[name][:1]):
            if text != given[name]:
                yield construction.with_argument(name, text)
