"""The loss that stands in where the user gave none: the output's own `.loss`, the only scalar, else a fixed random projection.

Not a sum or a mean: behind a LayerNorm or a softmax their gradient is zero by invariance, and healthy parameters would look dead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.distributions import Distribution
from torch.nn.utils.rnn import PackedSequence

_DEEPEST = 8
"""Containers within containers that are looked into: an output that holds itself has an end."""


_CARRIED = frozenset({"past_key_values", "past_key_value", "cache", "cache_params", "mems"})
"""Fields of an output that are there for the next call: no training takes a loss of a cache, and through it what is cut would look live."""


def project(output: Any) -> torch.Tensor | None:
    """A scalar loss of `output`, None where it holds no floating tensor at all."""
    own = getattr(output, "loss", None)
    if own is None and isinstance(output, Mapping):
        own = output.get("loss")
    if isinstance(own, torch.Tensor) and own.numel() == 1:
        return own.reshape(())
    tensors = floats_in(output)
    scalars = [tensor for tensor in tensors if tensor.numel() == 1]
    if len(tensors) == 1 and scalars and not tensors[0].is_complex():
        return scalars[0].reshape(())
    if not tensors:
        return None
    generator = torch.Generator().manual_seed(0)
    total: torch.Tensor | None = None
    for tensor in tensors:
        value = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
        weight = torch.randn(value.shape, generator=generator, dtype=torch.float32).to(device=value.device)
        part = ((value.to_dense() if value.layout is not torch.strided else value).float() * weight).sum()
        total = part if total is None else total + part.to(total.device)
    return total


def floats_in(output: Any) -> list[torch.Tensor]:
    """Every floating or complex tensor in an output, each once.

    Looked into are tuples, lists, mappings, dataclasses, packed sequences (their data), distributions (their parameters, through which all
    gradients of samples and log-probabilities go) and plain objects that hold tensors, such as a graph.
    """
    found = {id(tensor): tensor for tensor in _tensors(output, 0)}
    return [tensor for tensor in found.values() if (tensor.is_floating_point() or tensor.is_complex()) and tensor.numel()]


def _tensors(value: Any, depth: int) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif depth < _DEEPEST:
        for part in _parts(value):
            yield from _tensors(part, depth + 1)


def _parts(value: Any) -> list[Any]:
    """What a container holds."""
    if isinstance(value, PackedSequence):
        return [value.data]
    if isinstance(value, Distribution):
        return _parts_of_distribution(value)
    if isinstance(value, Mapping):
        return [part for name, part in value.items() if name not in _CARRIED]
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (type, torch.nn.Module)) or callable(value) or isinstance(value, (str, bytes, int, float, complex)):
        return []
    if dataclasses.is_dataclass(value):
        return [getattr(value, entry.name) for entry in dataclasses.fields(value) if entry.name not in _CARRIED]
    if isinstance(getattr(value, "_store", None), Mapping):  # torch_geometric's Data and Batch keep their tensors there
        return list(value._store.values())
    return list(vars(value).values()) if hasattr(value, "__dict__") else []


def _parts_of_distribution(distribution: Distribution) -> list[Any]:
    """The parameters as they were given: of `logits` and `probs`, which are made of each other, the one that is there."""
    held = vars(distribution)
    names = [name for name in distribution.arg_constraints if name in held]
    inner = [held[name] for name in ("base_dist", "_base", "_component_distribution", "_mixture_distribution") if name in held]
    return [held[name] for name in names] + inner
