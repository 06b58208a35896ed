"""Everything that an audit of a live model may change, saved before and put back after: weights, buffers, `.grad`, modes, hooks, RNG."""

from __future__ import annotations

import copy
import random
from types import TracebackType
from typing import Any

import torch
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from gradflow.capture.training.numbers import has_values, is_all_zero


class Snapshot:
    """A context manager: inside it the model may be trained, after it nothing is left of that.

    Values are put back in place, so that every tensor, optimizer group and hook keeps its identity. Only what can change is copied: buffers
    and `.grad` always, weights where an optimizer will step or a parameter is all zero (and may be jittered).
    """

    def __init__(
        self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], optimizer: torch.optim.Optimizer | None
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self._tensors = [tensor for tensor in leaves_in((args, kwargs)) if tensor.requires_grad]

    def __enter__(self) -> Snapshot:
        parameters = list(self.model.parameters())
        self._grads = [(tensor, tensor.grad) for tensor in (*_real(parameters), *self._tensors)]
        for tensor, _ in self._grads:
            tensor.grad = None
        with torch.no_grad():
            self._values = [(tensor, tensor.detach().clone()) for tensor in _real(parameters) if self._may_change(tensor)]
            self._values += [(tensor, tensor.detach().clone()) for tensor in self.model.buffers()]
        self._plain = [(module, dict(module.__dict__), dict(module._buffers), dict(module._parameters)) for module in self.model.modules()]
        self._modes = [(module, module.training) for module in self.model.modules()]
        self._optimizer_state = None if self.optimizer is None else copy.deepcopy(self.optimizer.state_dict())
        self._rng = (torch.get_rng_state(), _device_states(), random.getstate(), _numpy_state())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for module, attributes, buffers, parameters in self._plain:
            for name in [name for name in module.__dict__ if name not in attributes]:
                del module.__dict__[name]
            module.__dict__.update({name: value for name, value in attributes.items() if not name.startswith("_")})
            module._buffers.update(buffers)
            module._parameters.update(parameters)
        with torch.no_grad():
            for tensor, value in self._values:
                if has_values(tensor) and not _same(tensor, value):
                    tensor.copy_(value)
        for tensor, grad in self._grads:
            tensor.grad = grad
        for module, mode in self._modes:
            module.training = mode
        if self.optimizer is not None and self._optimizer_state is not None:
            self.optimizer.load_state_dict(self._optimizer_state)
        torch.set_rng_state(self._rng[0])
        _restore_devices(self._rng[1])
        random.setstate(self._rng[2])
        _restore_numpy(self._rng[3])

    def _may_change(self, tensor: torch.Tensor) -> bool:
        return self.optimizer is not None or is_all_zero(tensor)


def _real(parameters: list[torch.nn.Parameter]) -> list[torch.Tensor]:
    return [parameter for parameter in parameters if not isinstance(parameter, UninitializedTensorMixin)]


def _same(tensor: torch.Tensor, value: torch.Tensor) -> bool:
    return tensor.shape == value.shape and torch.equal(tensor, value)


def leaves_in(value: Any) -> list[torch.Tensor]:
    """The tensors in an input that no operation has made."""
    if isinstance(value, torch.Tensor):
        return [value] if value.is_leaf else []
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in leaves_in(item)]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in leaves_in(item)]
    return []


def _device_states() -> list[torch.Tensor]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []


def _restore_devices(states: list[torch.Tensor]) -> None:
    if states:
        torch.cuda.set_rng_state_all(states)


def _numpy_state() -> Any:
    import numpy

    return numpy.random.get_state()


def _restore_numpy(state: Any) -> None:
    import numpy

    numpy.random.set_state(state)
