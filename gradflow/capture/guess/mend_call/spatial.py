"""The picture or the sequence has the wrong size: too small for its layers, not the one that is expected, not divisible."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.mend_call.spoken import spoken_tensors
from gradflow.capture.guess.sizes import Sizes

_SIDES = (64, 224, 28, 128, 256, 32, 84, 96, 227, 299, 331, 16)
_SIDES_OF_LINES: tuple[int, ...] = ()
_SIDES_OF_SOLIDS = (32, 64, 16, 28)
_SOLID_SIDE = 64
_SOLID = (torch.nn.Conv3d, torch.nn.MaxPool3d, torch.nn.AvgPool3d, torch.nn.ConvTranspose3d, torch.nn.BatchNorm3d)
_SMALL = re.compile(
    r"[Kk]ernel size can't be greater|[Oo]utput size is too small|[Pp]adding size should be less|too small|Calculated padded"
    r"|smaller than|non-empty|must be greater|at least|index k out of range"
)
_WRONG = re.compile(
    r"mat1 and mat2|shape '\[|invalid for input|size mismatch|doesn't match|does not match|divisible|must match"
    r"|Sizes of tensors|should be|size|unflatten|view|einops|assert",
    re.IGNORECASE,
)


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Tensors with two equal last dimensions of more than three in other sizes; those that the message names come first."""
    if "channels, but got" in failure.message:
        return
    if not (_SMALL.search(failure.message) or _WRONG.search(failure.message) or isinstance(failure.error, AssertionError)):
        return
    yield from _as_the_kernel(call, failure)
    pairs = re.findall(r"[\[(]\s*(\d+)\s*[,x*]\s*(\d+)\s*[\])]|(?<![\dx])(\d+) ?[x*] ?(\d+)(?![\dx])", failure.message)
    for both in dict.fromkeys(tuple(int(text) for text in pair if text) for pair in pairs):
        for name, shape in spoken_tensors(call, failure).items():
            if len(shape.sizes) >= 4 and both != shape.sizes[-2:]:
                yield call.with_argument(name, Shape(shape.dtype, (*shape.sizes[:-2], *both), shape.rest).text)
    numbers = [int(text) for text in re.findall(r"\d+", failure.message) if 8 <= int(text) <= 1024]
    for name, shape in spoken_tensors(call, failure).items():
        if len(shape.sizes) < 3 or not shape.dtype.startswith("float"):
            continue
        solid = "3d" in failure.spots[-1].text or (failure.leaf is not None and isinstance(failure.leaf.layer, _SOLID))
        rank = 3 if solid and len(shape.sizes) == 5 else 2 if len(shape.sizes) > 3 else 1
        side = shape.sizes[-1]
        ratio = _flattened(failure)
        exact = [round(side * ratio**0.5)] if ratio else []
        usual = (_SIDES_OF_LINES, _SIDES, _SIDES_OF_SOLIDS)[rank - 1]
        sides = [*exact, *(number for number in numbers if number != side), *usual]
        if len(shape.sizes) == 5 and len(set(shape.sizes[-3:])) > 1:
            yield call.with_argument(name, Shape(shape.dtype, (*shape.sizes[:-3], side, side, side), shape.rest).text)
        for new in dict.fromkeys(number for number in sides if number != side and 4 <= number <= 1024):
            if (_SMALL.search(failure.message) and new < side) or (rank == 3 and new > _SOLID_SIDE):
                continue
            larger = (*shape.sizes[:-rank], *(new,) * rank)
            yield from _together(call, shape, larger)
            yield call.with_argument(name, Shape(shape.dtype, larger, shape.rest).text)


def _together(call: Call, shape: Shape, larger: tuple[int, ...]) -> Iterator[Call]:
    """The call with all pictures of these sizes in the new ones, as two frames of a video have the same; nothing where there is one."""
    alike = [name for name, other in call.tensors().items() if other.sizes == shape.sizes and len(other.sizes) > 3]
    yield from (call.resized(lambda _: larger, alike),) if len(alike) > 1 else ()


def _as_the_kernel(call: Call, failure: Failure) -> Iterator[Call]:
    """Each direction as many times longer as the kernel is than what is left there: (T: 1 H: 1 W: 1), kernel (kT: 2 kH: 7 kW: 7)."""
    left, _, kernel = failure.message.partition("ernel")
    got = [int(number) for number in re.findall(r"\d+", re.sub(r".*\(", "", left))]
    wanted = [int(number) for number in re.findall(r"\d+", re.sub(r"\).*", "", re.sub(r"^[^(]*\(", "", kernel)))]
    if not got or len(got) != len(wanted) or 0 in got:
        return
    for name, shape in call.tensors().items():
        kept = len(shape.sizes) - len(got)
        if 0 < kept <= 2 and shape.dtype.startswith("float"):
            longer = (size * math.ceil(want / have) for size, have, want in zip(shape.sizes[kept:], got, wanted, strict=True))
            yield call.with_argument(name, Shape(shape.dtype, (*shape.sizes[:kept], *longer), shape.rest).text)


def _flattened(failure: Failure) -> float:
    """By how much more features a layer behind a flattening, or a new shape, takes than it was given; 0 where that is not the error."""
    match = re.search(r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)", failure.message)
    if match is not None and int(match[1]):
        return int(match[2]) / int(match[1])
    shaped = re.search(r"shape '\[([\d, ]+)\]' is invalid for input of size (\d+)", failure.message)
    return math.prod(int(size) for size in shaped[1].split(",")) / int(shaped[2]) if shaped is not None else 0.0
