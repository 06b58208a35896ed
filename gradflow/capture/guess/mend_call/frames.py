"""A video does not fit: it has another number of frames. What halves them at each stage and keeps the first one takes 1, 5, 9 or 17."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.sizes import Sizes

_FRAMES = (1, 5, 9, 17, 8, 16)
_SHAPES = re.compile(r"shape '\[|unflatten|size of tensor|[Ss]izes of tensors|[Kk]ernel size|multiply up|must match|divisible|[Ff]rames")
_AXES = (1, 2)
"""Where the frames of a video stand: (batch, frames, channels, height, width), or channels first."""


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Each tensor of five dimensions with another number of frames."""
    if not _SHAPES.search(failure.message):
        return
    for name, shape in call.tensors().items():
        axes = [axis for axis in _AXES if shape.sizes[axis] in (*_FRAMES, sizes.frames)] if len(shape.sizes) == 5 else []
        for axis in axes:
            for frames in (sizes.frames, *_FRAMES):
                if frames != shape.sizes[axis]:
                    yield call.with_argument(name, shape.with_size(axis, frames).text)
