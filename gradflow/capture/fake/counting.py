"""Builds a model as it is, or under fake tensors where its constructor makes too many parameters for this machine.

The construction is watched as it goes: parameters are counted when they are registered, which is before they are filled with numbers. A
small model pays nothing. A large one is stopped, built under fake tensors, and counted to the end.
"""

from __future__ import annotations

import contextlib
import importlib.util
import random
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from gradflow.capture.fake.mode import FakeMode, fake_mode

GIANT = 500_000_000
"""Parameters from which on a model is audited under fake tensors without being asked to."""

_STOP = 100_000_000
"""Parameters at which a construction is stopped, to be counted under fake tensors first: 400 MB of float32."""


class TooManyParameters(BaseException):
    """Raised in a constructor. No Exception, so that no `except Exception:` in it goes on."""


def build(make: Callable[[], torch.nn.Module], stack: contextlib.ExitStack) -> tuple[torch.nn.Module, FakeMode | None]:
    """What `make()` gives, and the mode that was entered on `stack` for a giant, None where the model is real."""
    state = _random_state()
    try:
        with stopped_at(_STOP):
            return make(), None
    except TooManyParameters:
        _set_random_state(state)
    inner = contextlib.ExitStack()
    mode = inner.enter_context(fake_mode())
    with inner:
        model = make()
        if count_parameters(model) >= GIANT:
            stack.push(inner.pop_all())
            return model, mode
    _set_random_state(state)
    return make(), None


def count_parameters(model: torch.nn.Module) -> int:
    """Elements in all parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters() if not isinstance(parameter, UninitializedTensorMixin))


@contextlib.contextmanager
def stopped_at(limit: int) -> Iterator[None]:
    """While it is on, a construction that registers more than `limit` elements of parameters raises TooManyParameters."""
    total = 0

    def count(module: Any, name: str, parameter: Any) -> None:
        nonlocal total
        if isinstance(parameter, torch.Tensor) and not isinstance(parameter, UninitializedTensorMixin):
            total += parameter.numel()
        if total > limit:
            raise TooManyParameters

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _random_state() -> tuple[Any, ...]:
    numbers = importlib.import_module("numpy").random.get_state() if importlib.util.find_spec("numpy") is not None else None
    return torch.get_rng_state(), random.getstate(), numbers


def _set_random_state(state: tuple[Any, ...]) -> None:
    torch.set_rng_state(state[0])
    random.setstate(state[1])
    if state[2] is not None:
        importlib.import_module("numpy").random.set_state(state[2])
