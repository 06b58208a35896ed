"""A size that the model makes of its input is not the one that is wanted: the input's own sizes are changed in the same proportion, or by
as much.

"expected input[2, 4, 32, 32] to have 2 channels" where two channels were given: one is given. "sequence length 1 is less than target
length 896": the sequence becomes 896 times as long. Twelve patches a side are wanted and two were made: the side becomes six times as long.
A layer that wants 13 features got 42 of an input of 32: ten are added on the way, so the input gets three.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.mend_call.matching import PAIRS
from gradflow.capture.guess.sizes import Sizes

_WANTED_FIRST = (
    r"normalized_shape=\[(\d+)\].*size ?\[(?:\d+, )*(\d+)\]",
    r"to have (\d+) channels, but got (\d+) channels",
    r"parameter numbers = (\d+) and channel size = (\d+)",
    r"shape '\[([\d, ]+)\]' is invalid for input of size (\d+)",
)
_GOT_FIRST = (r"(\d+)\D{1,30}(?:less|smaller|shorter|fewer|lower) than\D{1,40}(\d+)",)
_LARGEST, _HARDLY = 1 << 20, 8
_FEW = 3
"""Two dimensions of no more than this are no picture."""


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Both sides of a picture; one dimension behind the batch at a time, those of the size that there is first, then the last ones; then in
    all inputs of one shape, which may be put together."""
    for got, wanted in wanted_sizes(failure.message):
        for name, shape in call.tensors().items():
            yield from (call.with_argument(name, squared.text) for squared in _squared(shape, got, wanted))
            for index in sorted(range(len(shape.sizes) - 1, 0, -1), key=lambda index: shape.sizes[index] != got):
                old = shape.sizes[index]
                for new in _changed(old, got, wanted):
                    yield call.with_argument(name, shape.with_size(index, new).text)
        yield from _together(call, got, wanted)


def _squared(shape: Shape, got: int, wanted: int) -> Iterator[Shape]:
    """The square picture that has as many times more pixels as there are more features wanted, where there is one."""
    *_, height, width = (0, 0, *shape.sizes)
    side = math.isqrt(width * width * wanted // got)
    if len(shape.sizes) == 4 and height == width > _FEW and side * side * got == width * width * wanted:
        yield shape.with_size(2, side).with_size(3, side)


def _together(call: Call, got: int, wanted: int) -> Iterator[Call]:
    """All that have as many dimensions and as many channels, with the channels in proportion."""
    tensors = {name: shape for name, shape in call.tensors().items() if len(shape.sizes) > 1}
    kinds = Counter((len(shape.sizes), shape.sizes[1]) for shape in tensors.values())
    for rank, old in (kind for kind, times in kinds.items() if times > 1):
        new, rest = divmod(old * wanted, got)
        if not rest and new:
            alike = {name: shape for name, shape in tensors.items() if len(shape.sizes) == rank and shape.sizes[1] == old}
            yield call.with_arguments({name: shape.with_size(1, new).text for name, shape in alike.items()})


def _changed(old: int, got: int, wanted: int) -> list[int]:
    """The size in proportion, then by the difference, where what is made is more than the size itself, or hardly less."""
    scaled, rest = divmod(old * wanted, got)
    shifted = old + wanted - got if got > old - _HARDLY else 0
    return [new for new in dict.fromkeys((0 if rest else scaled, shifted)) if 0 < new < _LARGEST and new != old]


def wanted_sizes(message: str) -> list[tuple[int, int]]:
    """(size that there is, size that is wanted), each way round where the message does not tell which is which."""
    for patterns, turned in ((_WANTED_FIRST, (1, 0)), (_GOT_FIRST, (0, 1))):
        for pattern in patterns:
            found = re.search(pattern, message)
            if found is not None:
                both = [_product(group) for group in found.groups()]
                return [(both[turned[0]], both[turned[1]])] if all(both) else []
    found = next((match for pattern in PAIRS if (match := re.search(pattern, message))), None)
    one, two = (int(group) for group in found.groups()) if found is not None else (0, 0)
    return [(one, two), (two, one)] if one and two and one != two else []


def _product(text: str) -> int:
    product = 1
    for number in re.findall(r"\d+", text):
        product *= int(number)
    return product
