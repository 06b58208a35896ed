"""A mask selects from a tensor of other sizes: "shape of the mask [2, 16] at index 1 does not match the indexed tensor [2, 128, 64]".

It gets the sizes of what it selects from. A model that hides patches needs hidden and seen ones, as many in each example: there is one
example, about half of which is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sizes import Sizes

_SELECTS = re.compile(r"shape of the mask \[([\d, ]+)\].*indexed tensor \[([\d, ]+)\]")


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Each argument of the sizes of the mask, selecting about half of one example, then everything."""
    found = _SELECTS.search(failure.message)
    if found is None:
        return
    mask, indexed = (tuple(int(size) for size in text.split(",")) for text in found.groups())
    wanted = indexed[: len(mask)]
    for name, shape in call.tensors().items():
        if shape.sizes == mask:
            one = call.resized(lambda shape: (1, *shape[1:]))
            yield one.with_argument(name, Shape("bool", (1, *wanted[1:])).text)
            yield call.with_argument(name, Shape("bool", wanted, "==1").text)
