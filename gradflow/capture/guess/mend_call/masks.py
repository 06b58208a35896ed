"""A mask does not fit what it is to mask: all masks are left away, as None, or each gets the sizes of what it is named after.

`x_mask` beside `x` of (batch, channels, length) is (batch, 1, length), and beside a picture (batch, 1, height, width).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sizes import Sizes


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The call without masks, then with one channel of what they mask, where the error or the failing lines speak of one."""
    masks = [name for name, text in call.arguments if "mask" in name.lower() and text != "None"]
    spoken = failure.message + " ".join(spot.text for spot in failure.own[-4:])
    if masks and "mask" in spoken.lower():
        bare = call
        for name in masks:
            bare = bare.with_argument(name, "None")
        yield bare
        yield from _of_one_channel(call, masks)


def _of_one_channel(call: Call, masks: list[str]) -> Iterator[Call]:
    """Every mask as large as what it masks, the argument that it is named after or else the first, in one channel, as numbers."""
    floating = {name: shape for name, shape in call.tensors().items() if shape.dtype.startswith("float") and name not in masks}
    changed = call
    for name in masks:
        masked = floating.get(re.sub(r"_?masks?_?", "", name.lower())) or next(iter(floating.values()), None)
        if masked is not None and len(masked.sizes) > 2:
            changed = changed.with_argument(name, Shape("float32", (masked.sizes[0], 1, *masked.sizes[2:]), "==1").text)
    if changed != call:
        yield changed
