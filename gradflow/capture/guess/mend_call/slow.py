"""The call takes too long: fewer examples in the batch, then smaller pictures, volumes and shorter sequences."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure, TooSlow
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sizes import BATCH, Sizes

_LEAST_OF_VOLUMES = 32
_MANY = 100_000
"""Numbers in an input from which one example is enough to be slow."""


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The call with a batch of two, then with sides of a quarter, and volumes with sides of half, then with one example."""
    if not isinstance(failure.error, TooSlow):
        return
    tensors = call.tensors()
    firsts = {shape.sizes[0] for shape in tensors.values() if shape.sizes}
    if len(firsts) == 1 and max(firsts) > BATCH:
        yield call.resized(lambda shape: (BATCH, *shape[1:]))
    smaller = with_smaller_sides(call)
    if smaller is call and any(_is_volume(shape.sizes) for shape in tensors.values()):
        smaller = call.resized(lambda shape: (*shape[:-3], *(side // 2 for side in shape[-3:])) if _is_volume(shape) else shape)
    yield from (smaller,) if smaller is not call else ()
    if firsts == {BATCH} and max(map(_elements, tensors.values())) >= _MANY:
        yield call.resized(lambda shape: (1, *shape[1:]))


def _elements(shape: Shape) -> int:
    return math.prod(shape.sizes)


def _is_volume(shape: tuple[int, ...]) -> bool:
    return len(shape) == 5 and min(shape[-3:]) >= _LEAST_OF_VOLUMES


def with_smaller_sides(call: Call, least: int = 128) -> Call:
    """The call with sides of pictures, and lengths, of at least `least` divided by four; the call itself where it has none."""
    if not any(len(shape.sizes) >= 3 and shape.sizes[-1] >= least for shape in call.tensors().values()):
        return call
    return call.resized(lambda shape: (*shape[:-2], *(side // 4 if side >= least else side for side in shape[-2:])))
