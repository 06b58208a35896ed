"""Functions that stand in for torch's own while fake tensors are on, and that a function mode (the recorder) sees as it sees those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import handle_torch_function, has_torch_function

from gradflow.capture.flow.calls import tensors_in


def overridable(name: str, original: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
    """A function called `name` that does `instead` where a fake tensor is among what it is given, and `original` otherwise."""

    def function(*args: Any, **kwargs: Any) -> Any:
        given = tensors_in([args, kwargs])
        if has_torch_function(given):
            return handle_torch_function(function, given, *args, **kwargs)
        return (instead if any(isinstance(value, FakeTensor) for value in given) else original)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    return function


def without_fakes(value: Any, read: Callable[[torch.Tensor], Any]) -> Any:
    """Nested lists and tuples with `read(t)` in place of each fake tensor."""
    if isinstance(value, FakeTensor):
        return read(value)
    return type(value)([without_fakes(item, read) for item in value]) if type(value) in (list, tuple) else value
