"""Numbers read off tensors: gradient norms and fingerprints of values. Reads only; one pass over the memory each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class GradientFact:
    """L2 norm over all elements (unitless), and whether all of them are finite."""

    norm: float
    finite: bool


def measure(grads: dict[int, torch.Tensor]) -> dict[int, GradientFact]:
    """The norm of each gradient. Half precision is summed in float32, and a norm that underflows is told from a true zero."""
    if not grads:
        return {}
    with torch.no_grad():
        dense = {key: _dense(grad) for key, grad in grads.items()}
        norms = [torch.linalg.vector_norm(value, dtype=_wide(value)) if value.numel() else value.new_zeros(()) for value in dense.values()]
        facts = {}
        for (key, value), norm in zip(dense.items(), norms, strict=True):
            number = float(norm)
            if number == 0.0 and value.numel():
                number = float(value.abs().max())
            finite = math.isfinite(number) or bool(torch.isfinite(value).all())
            facts[key] = GradientFact(number, finite)
        return facts


def _dense(grad: torch.Tensor) -> torch.Tensor:
    grad = grad.detach()
    if grad.is_sparse:
        return grad.coalesce().values()
    return grad


def _wide(value: torch.Tensor) -> torch.dtype | None:
    if value.dtype in (torch.float16, torch.bfloat16):
        return torch.float32
    return value.dtype if value.is_floating_point() or value.is_complex() else torch.float32


def fingerprint(tensor: torch.Tensor) -> int:
    """A number that changes when any element does: the sum of the elements' bits as integers. 0 where there is no memory to read."""
    with torch.no_grad():
        value = tensor.detach()
        if value.layout is not torch.strided or value.is_meta or not value.numel():
            return 0
        value = torch.view_as_real(value) if value.is_complex() else value
        bits = value.contiguous().view(_BITS[value.element_size()])
        return int(bits.sum(dtype=torch.int64))


def norm_of(tensor: torch.Tensor) -> float | None:
    """L2 norm over all elements, None where there is no memory to read or no such norm."""
    if tensor.is_meta or not (tensor.is_floating_point() or tensor.is_complex()):
        return None
    with torch.no_grad():
        return float(torch.linalg.vector_norm(tensor.detach(), dtype=_wide(tensor))) if tensor.numel() else 0.0
