"""Where values leave torch without its dispatcher: arrays, lists and files. Fake tensors have nothing to hand out there."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

from gradflow.capture.fake.answers import Answers
from gradflow.capture.fake.overriding import overridable, without_fakes
from gradflow.capture.flow.patches import Patches


def answer_on_the_host(patches: Patches, answers: Answers) -> None:
    """Replaces `.numpy()`, `.tolist()` and `torch.save` while the mode is on. A recorder that is made after this sees them as ever."""
    for name, given in (("numpy", _array), ("tolist", _list), ("__format__", _text)):
        patches.put(torch.Tensor, name, overridable(name, getattr(torch.Tensor, name), functools.partial(given, answers)))
    read, made = functools.partial(_list, answers), torch.tensor

    def make(data: Any, **more: Any) -> torch.Tensor:
        # torch reads the memory of tensors that stand in a list.
        return made(data if isinstance(data, FakeTensor) else without_fakes(data, read), **more)

    patches.put(torch, "tensor", overridable("tensor", made, make))
    patches.put(FakeTensor, "tolist", torch.Tensor.tolist)

    def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
        answers.saved()

    patches.put(torch, "save", save)
    patches.put(FakeTensor, "__deepcopy__", _deepcopy)


def _deepcopy(self: FakeTensor, memo: dict[int, Any]) -> Any:
    """As `Tensor.__deepcopy__`, which goes by the storage, and a fake tensor has none. `nn.Transformer` copies its layers so."""
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError("Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.")
    value = self.data.clone()
    copied = (
        torch.nn.Parameter(value, self.requires_grad) if isinstance(self, torch.nn.Parameter) else value.requires_grad_(self.requires_grad)
    )
    if self.grad is not None:
        copied.grad = self.grad.clone()
    memo[id(self)] = copied
    return copied


def _list(answers: Answers, tensor: Any) -> Any:
    if tensor.constant is not None:
        return torch._C.TensorBase.tolist(tensor.constant)
    if tensor.dim() == 0:
        return answers.number(tensor)
    return [_list(answers, part) for part in tensor.unbind(0)]


def _text(answers: Answers, tensor: FakeTensor, form: str) -> str:
    return format(tensor.item(), form) if tensor.dim() == 0 else object.__format__(tensor, form)


def _array(answers: Answers, tensor: FakeTensor, *, force: bool = False) -> Any:
    """The values where they are known, else ones: a single one in memory, whatever the shape."""
    # numpy is imported where a program uses it.
    import numpy

    if tensor.constant is not None:
        with torch._C._DisableTorchDispatch():
            return numpy.array(torch._C.TensorBase.numpy(tensor.constant))
    answers.array()
    one = numpy.ones(1, dtype=str(tensor.dtype).removeprefix("torch."))
    return numpy.lib.stride_tricks.as_strided(one, tuple(tensor.shape), (0,) * tensor.dim())
