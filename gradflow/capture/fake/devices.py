"""Fake tensors all stand on the CPU: a model that moves itself to a GPU is audited on a machine without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from gradflow.capture.flow.patches import Patches

_CPU = torch.device("cpu")


def stay_on_the_cpu(patches: Patches) -> None:
    """Lets `.cuda()`, `.to("cuda")` and their like keep a tensor where it is, and a module change the type of its fake parameters."""
    patches.put(torch.Tensor, "to", _moved("to", torch.Tensor.to))
    for name in ("cuda", "xpu", "hpu", "mps"):
        if hasattr(torch.Tensor, name):
            patches.put(torch.Tensor, name, _moved(name, None))
    patches.put(torch.nn.Module, "_apply", _apply(torch.nn.Module._apply))


def here(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of an operation of the dispatcher, with the CPU for whatever device they name."""
    device = kwargs.get("device")
    return kwargs if device is None or device.type == "cpu" else {**kwargs, "device": _CPU}


def _moved(name: str, original: Any) -> Any:
    def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if has_torch_function_unary(self):
            return handle_torch_function(method, (self,), self, *args, **kwargs)
        if original is None:
            return self
        return original(self, *_without_device(args), **{key: _near(value) for key, value in kwargs.items()})

    method.__name__ = method.__qualname__ = name
    return method


def _without_device(args: Sequence[Any]) -> tuple[Any, ...]:
    """`t.to(other)` takes the type of the other tensor; all else that names a device names the CPU now."""
    if args and isinstance(args[0], torch.Tensor):
        return (_CPU, args[0].dtype, *args[1:])
    return tuple(_near(value) for value in args)


def _near(value: Any) -> Any:
    # A bare number is a device only as the first argument of `cuda`, and of `to` the index of one.
    is_device = isinstance(value, (torch.device, str)) or (isinstance(value, int) and not isinstance(value, bool))
    return _CPU if is_device else value


def _apply(original: Callable[..., Any]) -> Callable[..., Any]:
    """`Module._apply` gives a fake parameter its new value in place. torch's own swaps the two objects, which a weak reference forbids."""

    def applied(self: torch.nn.Module, fn: Callable[[Any], Any], recurse: bool = True) -> torch.nn.Module:
        own = [parameter for parameter in self._parameters.values() if parameter is not None]
        if not all(isinstance(parameter, FakeTensor) for parameter in own):
            return original(self, fn, recurse)
        for module in self.children() if recurse else ():
            module._apply(fn)
        for parameter in own:
            _set(parameter, fn)
            if parameter.grad is not None:
                _set(parameter.grad, fn)
        self._buffers.update({name: fn(buffer) for name, buffer in self._buffers.items() if buffer is not None})
        return self

    return applied


def _set(tensor: Any, fn: Callable[[Any], Any]) -> None:
    with torch.no_grad():
        value = fn(tensor)
    if value is not tensor:
        tensor.data = value
        tensor.constant = None
