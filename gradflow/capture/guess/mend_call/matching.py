"""Two sizes have to be equal: one is made the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sizes import Sizes

PAIRS = (
    r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
    r"Expected size (\d+) but got size (\d+)",
    r"to be (\d+),? but got (\d+)",
    r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)",
    r"input\.size\(-1\) must be equal to input_size\. Expected (\d+), got (\d+)",
    r"has size (\d+) for operand \d+ which does not broadcast with previously seen size (\d+)",
    r"[Ee]xpected (\d+)[^\d]+(?:got|received|found)[^\d]+(\d+)",
    r"\((\d+)\)[^\d]+\((\d+)\)",
    r"(\d+) vs\.? (\d+)",
    r"= ?(\d+) and \D{1,40}= ?(\d+)",
    r"(\d+) (?:!=|and|to|but) (\d+)",
    r"(\d+)\D{1,40}\bbut\b\D{1,40}(\d+)",
)

"""Two sizes in a message that have to be equal."""

_DIVIDED = re.compile(
    r"divide axis of length (\d+) in chunks of (\d+)|(?:size|height|width|length|dim\w*)\D{0,9}(\d+)\D{1,40}divisible by\D{1,30}(\d.*)"
)

_SHAPES = re.compile(r"size \((?:torch\.Size\()?\[([\d, ]*)\]\)?\).*(?:same as|match|equal).*size \((?:torch\.Size\()?\[([\d, ]*)\]\)?\)")
"""Two whole shapes that have to be equal, as in the losses of torch."""
_EXPECTED = re.compile(r"[Ee]xpected[^\[(]*[\[(](\d[\d, ]*)[\])][^\[(]{1,20}(?:got|found|but)[^\[(]*[\[(](\d[\d, ]*)[\])]")
"""The shape that is expected and the one that there is."""


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Each of the two sizes of the message in place of the other, wherever it stands in the call."""
    split = split_sizes(failure.message)
    if split is not None:
        yield from _replaced(call, *split)
        return
    divided = _DIVIDED.search(failure.message)
    if divided is not None:
        length, *chunks = (int(number) for group in divided.groups() if group for number in re.findall(r"\d+", group))
        for chunk in dict.fromkeys(chunks[:1] + chunks[-1:]):  # "by 14", "by the bucket size x 2: 128"
            yield from _replaced(call, length, max(length // chunk, 1) * chunk) if chunk else ()
        return
    yield from _long_enough(call, failure)
    yield from _equal_shapes(call, failure)
    for pattern in PAIRS:
        match = re.search(pattern, failure.message)
        if match is None:
            continue
        one, two = int(match[1]), int(match[2])
        for old, new in ((one, two), (two, one)):
            yield from _replaced(call, old, new)
        return


def split_sizes(message: str) -> tuple[int, int] | None:
    """(size that is split, size of its parts together) where they do not agree; None where the message is about something else."""
    found = re.search(r"to sum exactly to (\d+) .*split_sizes=\[([\d, ]+)\]", message)
    return (int(found[1]), sum(map(int, found[2].split(",")))) if found is not None else None


def _long_enough(call: Call, failure: Failure) -> Iterator[Call]:
    """A dimension that is indexed beyond its end, long enough for the index, in one argument and then in all that are as long there."""
    beyond = re.search(r"index (\d+) is out of bounds for dimension (\d+) with size (\d+)", failure.message)
    if beyond is None:
        return
    index, place, size = (int(number) for number in beyond.groups())
    for at in (place, place + 1):
        short = {name: shape for name, shape in call.tensors().items() if at < len(shape.sizes) and shape.sizes[at] == size}
        longer = {name: shape.with_size(at, index + 1).text for name, shape in short.items()}
        yield from (call.with_argument(name, text) for name, text in longer.items())
        yield from (call.with_arguments(longer),) if len(longer) > 1 else ()


def _equal_shapes(call: Call, failure: Failure) -> Iterator[Call]:
    """Each of the two whole shapes of the message in place of the other."""
    both = _SHAPES.search(failure.message) or _EXPECTED.search(failure.message)
    if both is None:
        return
    first, second = (tuple(int(size) for size in re.findall(r"\d+", text)) for text in both.groups())
    for old, new in ((first, second), (second, first)):
        for name, shape in call.tensors().items():
            if shape.sizes == old and new:
                yield call.with_argument(name, Shape("float32", new).text)


def _replaced(call: Call, old: int, new: int) -> Iterator[Call]:
    """Size `new` in place of `old`, the last one in each tensor that has it, both of a square one, one tensor at a time; then in all."""
    changed: dict[str, str] = {}
    for name, shape in call.tensors().items():
        if old in shape.sizes and new:
            last = len(shape.sizes) - 1 - shape.sizes[::-1].index(old)
            changed[name] = shape.with_size(last, new).text
            if len(shape.sizes) > 3 and shape.sizes[-2:] == (old, old):
                yield call.with_argument(name, shape.with_size(-1, new).with_size(-2, new).text)
    yield from (call.with_argument(name, text) for name, text in changed.items())
    if len(changed) > 1:
        yield call.with_arguments(changed)
