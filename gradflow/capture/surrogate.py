"""The loss that stands in where the user gave none: the output's own `.loss`, the only scalar, else a fixed random projection.

Not a sum or a mean: behind a LayerNorm or a softmax their gradient is zero by invariance, and healthy parameters would look dead.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch


def project(output: Any) -> torch.Tensor | None:
    """A scalar loss of `output`, None where it holds no floating tensor at all."""
    own = getattr(output, "loss", None)
    if own is None and isinstance(output, dict):
        own = output.get("loss")
    if isinstance(own, torch.Tensor) and own.numel() == 1:
        return own
    tensors = floats_in(output)
    scalars = [tensor for tensor in tensors if tensor.numel() == 1]
    if len(tensors) == 1 and scalars:
        return scalars[0].reshape(())
    if not tensors:
        return None
    generator = torch.Generator().manual_seed(0)
    total: torch.Tensor | None = None
    for tensor in tensors:
        value = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        weight = torch.randn(value.shape, generator=generator, dtype=torch.float32).to(device=value.device)
        part = (value.float() * weight).sum()
        total = part if total is None else total + part.to(total.device)
    return total


def floats_in(output: Any) -> list[torch.Tensor]:
    """Every floating or complex tensor in an output: nested tuples, lists, dicts and dataclasses."""
    if isinstance(output, torch.Tensor):
        return [output] if (output.is_floating_point() or output.is_complex()) and output.numel() else []
    if isinstance(output, dict):
        return [tensor for value in output.values() for tensor in floats_in(value)]
    if isinstance(output, (list, tuple)):
        return [tensor for value in output for tensor in floats_in(value)]
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return [tensor for entry in dataclasses.fields(output) for tensor in floats_in(getattr(output, entry.name))]
    return []
