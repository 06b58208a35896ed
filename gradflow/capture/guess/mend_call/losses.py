"""The model computes its own loss, and what it compares its output with does not fit: it becomes what the loss of torch takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch

from gradflow.capture.guess.attempt import Failure, Spot
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sizes import Sizes

_OF_CLASSES = ("cross_entropy", "nll_loss")
_OF_NUMBERS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div")


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The tensors that hold as many numbers as the target of the loss that failed, as classes or as numbers for each output."""
    spot = next((spot for spot in failure.spots if spot.function in (*_OF_CLASSES, *_OF_NUMBERS)), None)
    given, target = _tensors(spot)
    if spot is None or given is None or target is None:
        return
    wanted = _classes(given) if spot.function in _OF_CLASSES else _numbers(given, spot.function)
    for name, shape in call.tensors().items():
        if math.prod(shape.sizes) == target.numel():
            flattened = math.prod(shape.sizes) == math.prod(wanted.sizes)
            yield call.with_argument(name, replace(wanted, sizes=shape.sizes if flattened else wanted.sizes).text)


def _tensors(spot: Spot | None) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """What the loss was given, and the target."""
    found = [spot.variables.get(name) for name in ("input", "target")] if spot is not None else []
    given, target = (value if isinstance(value, torch.Tensor) else None for value in found or (None, None))
    return given, target


def _numbers(given: torch.Tensor, loss: str) -> Shape:
    """One number for each of the outputs, a share where nothing else may be compared with one."""
    return Shape("float32", tuple(given.shape), "==1" if loss == "binary_cross_entropy" else "")


def _classes(given: torch.Tensor) -> Shape:
    """One class for each of the outputs, whose scores stand in the second dimension, or in the only one."""
    sizes = tuple(given.shape)
    return Shape("int64", (*sizes[:1], *sizes[2:]) if len(sizes) > 1 else (), f"<{sizes[min(1, len(sizes) - 1)]}")
