"""A tensor has too many or too few dimensions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.conditions import conditions_at
from gradflow.capture.guess.inputs.described import listed_dimensions
from gradflow.capture.guess.inputs.dimensions import sizes_of_words
from gradflow.capture.guess.mend_call.spoken import spoken_tensors
from gradflow.capture.guess.sizes import Sizes

_EXPECTED = (
    r"not enough values to unpack \(expected (?:at least )?(\d)",
    r"too many values to unpack \(expected (\d)",
    r"[Ee]xpected (\d) dim",
    r"[Ee]xpected (?:input to be |a |an )?(\d)-?[dD]",
    r"(\d)D? or \dD",
    r"must be (\d)-?[dD]",
    r"(\d)-?[dD][- ]array",
    r"(\d) dimensions",
    r"ndim[^\d]{1,12}(\d)",
    r"dim\(\) [!=]= (\d)",
    r"len\(dims\) = (\d)",
    r"number of subscripts in the equation \((\d)\) does not match",
    r"number of sizes provided \((\d)\) must be greater",
)

_MOST, _MOST_WHOLE = 5, 3
"""Dimensions of a tensor, and of one of whole numbers: what has more holds floating numbers."""


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The spoken tensors with the number of dimensions that the message expects; without one, with one more or one less."""
    message = failure.message or _stated(failure)
    expected = _of_pattern(failure) or next((int(match[1]) for pattern in _EXPECTED if (match := re.search(pattern, message))), 0)
    if not expected and not re.search(
        r"[Dd]imension|index out of range|ax[ei]s|einops|too many values|not enough values|shape|dim|perm|unpack|transpose|be at least",
        message,
    ):
        return
    yield from _listed(call, failure, sizes)
    yield from _indexed(call, failure, sizes)
    dotted = ["shape", "size(", "permute", "rearrange", "unpack", ".view("]
    for name, shape in spoken_tensors(call, failure).items():
        ranks = [expected] if expected and expected != len(shape.sizes) else []
        if not ranks and (
            any(word in spot.text for spot in failure.spots[-2:] for word in dotted) or re.search(r"imension|ax[ei]s", message)
        ):
            ranks = [len(shape.sizes) + 1, len(shape.sizes) - 1]
        for rank in (rank for rank in ranks if 0 < rank <= _MOST):
            is_whole = not shape.dtype.startswith("float")
            kind = Shape("float32", shape.sizes) if is_whole and rank > _MOST_WHOLE else shape
            for sized in _with_rank(shape, rank, sizes):
                yield call.with_argument(name, Shape(kind.dtype, sized, kind.rest).text)
                yield from _together(call, shape, sized)


def _stated(failure: Failure) -> str:
    """The conditions that failed without a word: `assert x.ndim == 4`."""
    return " ".join(ast.unparse(test) for spot in failure.own[-1:] for test, _ in conditions_at(spot))


def _of_pattern(failure: Failure) -> int:
    """How many dimensions a layer made of an einops pattern takes: three in "b n (h d) -> b h n d". Such a layer raises a KeyError."""
    pattern = getattr(failure.leaf.layer, "pattern", None) if failure.leaf is not None else None
    if not isinstance(failure.error, KeyError) or not isinstance(pattern, str) or "..." in pattern:
        return 0
    return len(re.sub(r"\([^)]*\)", "group", pattern.partition("->")[0]).split())


def _together(call: Call, shape: Shape, sized: tuple[int, ...]) -> Iterator[Call]:
    """The call with all that have the sizes of `shape`, as queries, keys and values have the same, in the new ones."""
    alike = [name for name, other in call.tensors().items() if (other.dtype, other.sizes) == (shape.dtype, shape.sizes)]
    yield from (call.resized(lambda _: sized, alike),) if len(alike) > 1 else ()


def _listed(call: Call, failure: Failure, sizes: Sizes) -> Iterator[Call]:
    """The dimensions that the message spells out: "of shape (batch_size, 2, num_channels, height, width)"."""
    words = listed_dimensions(failure.message)
    wanted = sizes_of_words(words, sizes) if "shape" in failure.message else ()
    for name, shape in spoken_tensors(call, failure).items() if wanted else ():
        if len(shape.sizes) != len(wanted) and shape.dtype.startswith("float"):
            yield call.with_argument(name, Shape(shape.dtype, wanted).text)


def _indexed(call: Call, failure: Failure, sizes: Sizes) -> Iterator[Call]:
    """As many dimensions as the failing line asks for: `x.shape[3]`, `x.size(2)`."""
    if "out of range" not in failure.message or not failure.spots:
        return
    for name, shape in call.tensors().items():
        found = re.findall(rf"\b{re.escape(name)}\.(?:shape\[|size\()(\d)", failure.spots[-1].text)
        rank = max(map(int, found), default=-1) + 1
        if rank > len(shape.sizes):
            yield from (call.with_argument(name, Shape(shape.dtype, sized, shape.rest).text) for sized in _with_rank(shape, rank, sizes))


def _with_rank(shape: Shape, rank: int, sizes: Sizes) -> Iterator[tuple[int, ...]]:
    old = shape.sizes
    if rank < len(old):
        if len(old) == 4 and rank == 3:
            yield (old[0], sizes.length, sizes.width)
        yield (old[0], *old[len(old) - rank + 1 :]) if rank > 1 else old[:1]
        yield old[:rank]
        return
    if rank == 4 and len(old) in (2, 3):
        yield (sizes.batch, sizes.channels, sizes.image, sizes.image)
    if rank == 5:
        yield (old[0], sizes.channels, sizes.frames, sizes.image, sizes.image)
        yield (old[0], sizes.frames, sizes.channels, sizes.image, sizes.image)
    if rank == 3 and len(old) == 2:
        yield (old[0], sizes.length, old[1])
        yield (old[0], old[1], sizes.length)
        yield (old[0], 1, old[1])
    filler = (sizes.length,) * (rank - len(old))
    yield (*old[:1], *filler, *old[1:])
    yield (*old, *filler)
