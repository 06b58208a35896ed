"""Further calls of a model that runs: other values, another size, the arguments that may be left out, the other mode.

A parameter that guessed inputs do not reach may only want another input. It is called unreached when none of these reaches it.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator

import torch

from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.inputs.dimensions import likely_input
from gradflow.capture.guess.inputs.usual_inputs import NO_TENSOR
from gradflow.capture.guess.mend_call import mended as mended_calls
from gradflow.capture.guess.search import Deadline, try_call
from gradflow.capture.guess.sizes import Sizes
from gradflow.capture.guess.subject import parameters_of

_MOST_OPTIONAL = 10
_MENDS = 8
_LARGE = 64
_SHARE = 0.5


def variants(model: torch.nn.Module, call: Call, sizes: Sizes, deadline: Deadline) -> list[Call]:
    """The calls that run, `call` left out. Each is tried once; together they take no longer than the deadline."""
    found = [call.with_seed(1)]
    for other in (*_resized(call), call.in_other_mode()):
        if deadline.left() and try_call(model, other, deadline.left() * _SHARE) is None:
            found.append(other)
    fullest = call
    for name, text in _optional(model, call, sizes):
        fullest = _with_one_more(model, fullest, name, text, sizes, deadline)
    return found if fullest is call else [*found, fullest]


def _with_one_more(model: torch.nn.Module, call: Call, name: str, text: str, sizes: Sizes, deadline: Deadline) -> Call:
    """The call with an argument that was left out, mended where its first value fails; the call itself where none does."""
    more = call.with_argument(name, text)
    failure = try_call(model, more, deadline.left() * _SHARE) if deadline.left() else None
    if failure is None:
        return more if deadline.left() else call
    changed_only = (mended for mended in mended_calls(more, failure, model, sizes) if mended.without(name) == call.without(name))
    for mended in itertools.islice(changed_only, _MENDS):
        if deadline.left() and try_call(model, mended, deadline.left() * _SHARE) is None:
            return mended
    return call


def _resized(call: Call) -> Iterator[Call]:
    """The call in another size: small pictures twice as large, larger ones half as large, which takes less time; sequences half as long."""
    tensors = call.tensors()
    sides = {shape.sizes[-1] for shape in tensors.values() if len(shape.sizes) >= 4 and shape.sizes[-1] == shape.sizes[-2]}
    lengths = {shape.sizes[1] for shape in tensors.values() if len(shape.sizes) in (2, 3) and shape.sizes[1] > 3}
    changes = (
        [{side: side // 2 if side >= _LARGE else side * 2 for side in sides}]
        if sides
        else [{length: length // 2 for length in lengths}]
        if lengths
        else []
    )
    for change in changes:
        resized = call
        for name, shape in tensors.items():
            first, *others = shape.sizes or (0,)
            sized = (first, *(change.get(size, size) if size in change else size for size in others))
            if sized != shape.sizes and shape.sizes:
                resized = resized.with_argument(name, Shape(shape.dtype, sized, shape.rest).text)
        if resized is not call:
            yield resized


def _optional(model: torch.nn.Module, call: Call, sizes: Sizes) -> Iterator[tuple[str, str]]:
    """The arguments that were left out and may be tensors, each with the usual text of its name."""
    given = call.given()
    names = [
        (entry.name, likely_input(model, entry, sizes))
        for entry in parameters_of(model.forward).values()
        if entry.name not in given and entry.default is not inspect.Parameter.empty and not NO_TENSOR.search(entry.name)
    ]
    yield from [(name, text) for name, text in names if "[" in text][:_MOST_OPTIONAL]
