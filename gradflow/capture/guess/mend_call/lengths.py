"""Sequences that are packed stand time first: the batch is the second dimension, as many as there are lengths."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sizes import Sizes


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The call with the first two dimensions of its sequences exchanged, where lengths and batch do not agree."""
    tensors = call.tensors()
    lengths = [name for name, shape in tensors.items() if re.search(r"len", name) and len(shape.sizes) == 1]
    if not lengths or not re.search(r"batch_size|len\(lengths\)|lengths", failure.message):
        return
    turned = call
    for name, shape in tensors.items():
        if len(shape.sizes) >= 2 and shape.sizes[0] == tensors[lengths[0]].sizes[0]:
            turned = turned.with_argument(name, Shape(shape.dtype, (shape.sizes[1], shape.sizes[0], *shape.sizes[2:]), shape.rest).text)
    if turned is not call:
        yield turned
