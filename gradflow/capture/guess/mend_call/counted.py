"""What the code counts comes to none, because the input is smaller than one of it: `chunks = x.shape[1] // self.chunk_size`. The input
becomes as large as one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure, Spot
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.conditions import value_at
from gradflow.capture.guess.sizes import Sizes
from gradflow.capture.guess.sources import function_at


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Each size behind the batch that was divided to nothing, as large as what it was divided by."""
    for spot in reversed(failure.own):
        for size, whole in _divided_to_nothing(spot):
            for name, shape in call.tensors().items():
                yield from (
                    call.with_argument(name, shape.with_size(at, whole).text)
                    for at, given in enumerate(shape.sizes)
                    if at and given == size
                )


def _divided_to_nothing(spot: Spot) -> Iterator[tuple[int, int]]:
    """(size, divisor) for each variable of the frame that is zero, and that a line above made by a division."""
    function = function_at(spot.file, spot.line)
    for node in ast.walk(function) if function is not None else ():
        if not isinstance(node, ast.Assign) or node.lineno > spot.line or not isinstance(node.value, ast.BinOp):
            continue
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if isinstance(node.value.op, ast.FloorDiv) and any(
            type(spot.variables.get(name)) is int and not spot.variables[name] for name in names
        ):
            size, whole = (value_at(side, spot) for side in (node.value.left, node.value.right))
            if type(size) is int and type(whole) is int and 0 < size < whole:
                yield size, whole
