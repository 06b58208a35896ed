"""The failing line, or the test that it raises for, says which size it wants: `assert x.shape[2] == self.heads`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure, Spot
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.sizes import Sizes

_WANTED = re.compile(r"\b(\w+)\.(?:shape\[(-?\d)\]|size\((-?\d)\))\s*(?:==|!=)\s*(\d+|(?:self\.)?[A-Za-z_]\w*)(?![\w.(\[])")
_ABOVE = 12
"""Lines above a `raise` in which its test is looked for."""


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Each such tensor in the size that the line compares it with."""
    found = next(((spot, text) for spot in reversed(failure.spots) if _WANTED.search(text := _condition(spot))), None)
    if found is None:
        return
    spot, text = found
    tensors = call.tensors()
    for name, at, other, word in _WANTED.findall(text):
        shape, index, wanted = tensors.get(name), int(at or other), _value(word, spot)
        if shape is not None and wanted is not None and -len(shape.sizes) <= index < len(shape.sizes):
            yield call.with_argument(name, shape.with_size(index, wanted).text)


def _condition(spot: Spot) -> str:
    """The line; of one that raises, the test above it, for which it does."""
    if not spot.text.lstrip().startswith("raise"):
        return spot.text
    indent = len(spot.text) - len(spot.text.lstrip())
    for line in spot.above(_ABOVE):
        if line.strip() and len(line) - len(line.lstrip()) < indent:
            return line
    return spot.text


def _value(word: str, spot: Spot) -> int | None:
    """The number that a literal, a variable or an attribute of `self` is there."""
    _, dot, name = word.rpartition(".")
    found = int(word) if word.isdigit() else getattr(spot.variables.get("self"), name, None) if dot else spot.variables.get(word)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None
