"""Numbers read off tensors: gradient norms and fingerprints of values. Reads only; one pass over the memory each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensor

_PLAIN = (torch.float32, torch.float64)
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class GradientFact:
    """L2 norm over all elements (unitless), and whether all of them are finite."""

    norm: float
    finite: bool


def has_values(tensor: torch.Tensor) -> bool:
    """False for tensors that have a shape and nothing to read: on the meta device, and fake ones."""
    return not (tensor.is_meta or isinstance(tensor, FakeTensor))


def measure(grads: dict[int, torch.Tensor]) -> dict[int, GradientFact]:
    """The norm of each gradient. Half precision is summed in float32, and a norm that underflows is told from a true zero.

    Of a gradient that is sharded over processes only this one's part is read, since asking the others would be a collective; where that
    part is empty, nothing is said, and neither is it of one that has no values.
    """
    grads = {key: grad for key, grad in grads.items() if has_values(grad)}
    if not grads:
        return {}
    with torch.no_grad():
        dense = {key: value for key, grad in grads.items() if (value := _dense(grad)).numel() or not grad.numel()}
        facts = {}
        for (key, value), number in zip(dense.items(), norms_of(list(dense.values())), strict=True):
            if number == 0.0 and value.numel():
                number = float(value.abs().max())
            finite = math.isfinite(number) or bool(torch.isfinite(value).all())
            facts[key] = GradientFact(number, finite)
        return facts


def norms_of(values: list[torch.Tensor]) -> list[float]:
    """The L2 norm of each tensor, over all its elements. Those of one device and type are read off together: one transfer, not one each."""
    norms = [0.0] * len(values)
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for index, value in enumerate(values):
        if value.numel():
            groups.setdefault((value.device, value.dtype), []).append(index)
    for (_, dtype), indices in groups.items():
        group = [values[index] for index in indices]
        found = torch._foreach_norm(group) if dtype in _PLAIN else [torch.linalg.vector_norm(value, dtype=_wide(value)) for value in group]
        for index, norm in zip(indices, torch.stack(list(found)).tolist(), strict=True):
            norms[index] = norm
    return norms


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part of a sharded tensor (`DTensor`) that lies in this process, any other tensor itself. Read only."""
    to_local: Callable[[], torch.Tensor] | None = getattr(tensor, "to_local", None)
    return tensor if to_local is None else to_local()


def _dense(grad: torch.Tensor) -> torch.Tensor:
    grad = local(grad.detach())
    if grad.is_sparse:
        return grad.coalesce().values()
    return grad


def _wide(value: torch.Tensor) -> torch.dtype | None:
    if value.dtype in (torch.float16, torch.bfloat16):
        return torch.float32
    return value.dtype if value.is_floating_point() or value.is_complex() else torch.float32


def fingerprints(tensors: list[torch.Tensor]) -> list[int]:
    """For each tensor a number that changes when any element does: the sum of its bits as integers; 0 where there is no memory to read."""
    with torch.no_grad():
        found = [0] * len(tensors)
        groups: dict[torch.device, list[int]] = {}
        tensors = [local(tensor.detach()) for tensor in tensors]
        for index, tensor in enumerate(tensors):
            if tensor.layout is torch.strided and has_values(tensor) and tensor.numel():
                groups.setdefault(tensor.device, []).append(index)
        for indices in groups.values():
            sums = torch.stack([_bit_sum(tensors[index]) for index in indices]).tolist()
            for index, total in zip(indices, sums, strict=True):
                found[index] = total
        return found


def _bit_sum(value: torch.Tensor) -> torch.Tensor:
    value = torch.view_as_real(value) if value.is_complex() else value
    return value.contiguous().view(_BITS[value.element_size()]).sum(dtype=torch.int64)


def weight_norms(tensors: list[torch.Tensor | None]) -> list[float | None]:
    """L2 norms over all elements, None where there is no memory to read or no such norm."""
    readable = [
        index for index, tensor in enumerate(tensors)
        if tensor is not None and has_values(tensor) and (tensor.is_floating_point() or tensor.is_complex())
    ]  # fmt: skip
    found: list[float | None] = [None] * len(tensors)
    with torch.no_grad():
        values = [_dense(tensor) for index in readable if (tensor := tensors[index]) is not None]
        for index, norm in zip(readable, norms_of(values), strict=True):
            found[index] = norm
    return found


def is_all_zero(tensor: torch.Tensor) -> bool:
    """Whether every element is known to be zero. The first one answers for nearly every tensor."""
    if not has_values(tensor):
        return False
    with torch.no_grad():
        value = local(tensor.detach())
    if not value.numel():
        return False
    return not bool(value[(0,) * value.dim()]) and not bool(value.count_nonzero())
