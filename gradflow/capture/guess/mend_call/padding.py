"""A padding mirrors more than there is: "got: padding (768, 768) at dimension 2 of input [2, 1, 64]". The input becomes longer.

Where no input is as long as what was padded, layers have made it shorter: the sides of a picture become as many times longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sizes import Sizes

_MIRRORED = re.compile(r"padding \((\d+), (\d+)\) at dimension (\d+) of input \[([\d, ]+)\]")
_TIMES = 4
"""How many paddings long the input becomes: what follows makes it shorter again."""


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Each tensor that is as long as what was padded, long enough; a picture on both sides. Then larger pictures."""
    found = _MIRRORED.search(failure.message)
    if found is None:
        return
    before, behind, at = (int(number) for number in found.groups()[:3])
    padded = [int(number) for number in found[4].split(",")]
    if at >= len(padded):
        return
    for name, shape in call.tensors().items():
        longer = tuple(_TIMES * max(before, behind) if size == padded[at] and place else size for place, size in enumerate(shape.sizes))
        if longer != shape.sizes:
            yield call.with_argument(name, Shape(shape.dtype, longer, shape.rest).text)
        elif len(shape.sizes) > 3 and padded[at]:
            times = max(before, behind) // padded[at] + 1
            yield call.with_argument(
                name, Shape(shape.dtype, (*shape.sizes[:-2], *(times * side for side in shape.sizes[-2:])), shape.rest).text
            )
