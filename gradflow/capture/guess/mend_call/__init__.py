"""What to change in a call that failed, read from the error and the layer that was running: one rule a file, the surest first."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.mend_call import (
    absent,
    asserted,
    dtypes,
    image_tokens,
    kinds,
    layer_sizes,
    lengths,
    masks,
    matching,
    modes,
    proportions,
    ranks,
    slow,
    spatial,
)
from gradflow.capture.guess.sizes import Sizes

RULES = (slow, image_tokens, lengths, asserted, masks, modes, absent, dtypes, layer_sizes, matching, ranks, kinds, proportions, spatial)


def mended(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Calls that may do better, in the order in which to try them."""
    for rule in RULES:
        yield from rule.mend(call, failure, model, sizes)
