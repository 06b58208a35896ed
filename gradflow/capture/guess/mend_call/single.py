"""A size that does not fit is the number of examples: some models take one at a time. The batch becomes one example."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.sizes import Sizes

_SHAPES = re.compile(r"shape|size|dimension|broadcast|match|batch", re.IGNORECASE)


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Every tensor with one example, where the message has the number of examples among its sizes."""
    tensors = call.tensors()
    batches = {shape.sizes[0] for shape in tensors.values() if shape.sizes}
    if len(batches) != 1 or batches == {1} or not _SHAPES.search(failure.message):
        return
    if str(batches.pop()) in re.findall(r"\d+", failure.message):
        yield call.resized(lambda shape: (1, *shape[1:]))
