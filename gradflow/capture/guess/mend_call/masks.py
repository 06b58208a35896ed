"""A mask does not fit what it is to mask: all masks are left away, as None."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.sizes import Sizes


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The call without masks, where the error or the failing lines speak of one."""
    masks = [name for name, text in call.arguments if "mask" in name.lower() and text != "None"]
    spoken = failure.message + " ".join(spot.text for spot in failure.own[-4:])
    if masks and "mask" in spoken.lower():
        bare = call
        for name in masks:
            bare = bare.with_argument(name, "None")
        yield bare
