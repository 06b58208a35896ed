"""Two arguments are put together and do not fit: one gets the sizes of the other, as a picture and its noisy copy have the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sizes import Sizes

_TOGETHER = re.compile(
    r"[Tt]ensors must (have same number of dimensions|match)|must match the size of tensor|same shape|shapes? must|expected size"
    r"|does(n't| not) match|same sizes?|number of dimensions",
    re.IGNORECASE,
)
_TWICE = re.compile(r"\b(double|twice)\b", re.IGNORECASE)
_MOST = 2


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The first arguments that the error speaks of, each in the sizes of the others that hold floating numbers, or with sides twice as
    long as those where the message says so."""
    if _TWICE.search(failure.message):
        yield from _doubled(call)
    if not _TOGETHER.search(failure.message):
        return
    floating = {name: shape for name, shape in call.tensors().items() if shape.dtype.startswith("float") and len(shape.sizes) > 1}
    for name, shape in list(floating.items())[:_MOST]:
        for other in dict.fromkeys(other.sizes for other in floating.values() if other.sizes != shape.sizes):
            yield call.with_argument(name, Shape(shape.dtype, other, shape.rest).text)


def _doubled(call: Call) -> Iterator[Call]:
    """Each picture or volume with sides twice as long as those of another, which has as many dimensions."""
    pictures = {name: shape for name, shape in call.tensors().items() if len(shape.sizes) >= 4}
    for name, shape in list(pictures.items())[:_MOST]:
        for other in dict.fromkeys(other.sizes for known, other in pictures.items() if known != name):
            if len(other) == len(shape.sizes):
                twice = (*shape.sizes[:2], *(2 * side for side in other[2:]))
                yield call.with_argument(name, Shape(shape.dtype, twice, shape.rest).text)
