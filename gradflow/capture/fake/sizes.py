"""Operations whose output's size depends on values (`x[mask]`, `nonzero`, `unique`): the size as if all elements were selected.

That is the size which fits what follows: `x[mask].reshape(batch, -1, dim)` divides, and two selections by masks of one shape agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

_aten = torch.ops.aten


def give(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The output of one of `SIZED_BY_DATA`, as a fake tensor. To be called with the mode on."""
    return SIZED_BY_DATA[func](*args, **kwargs)


def _nonzero(value: torch.Tensor) -> torch.Tensor:
    return value.new_empty((value.numel(), value.dim()), dtype=torch.int64)


def _nonzero_numpy(value: torch.Tensor) -> list[torch.Tensor]:
    return list(_nonzero(value).unbind(1))


def _masked_select(value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    shape = torch.broadcast_shapes(value.shape, mask.shape)
    return value.new_empty((shape.numel(),))


def _unique(value: torch.Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> tuple[Any, ...]:
    return _distinct(value, None)


def _unique_pair(value: torch.Tensor, sorted: bool = True, return_inverse: bool = False) -> tuple[Any, ...]:
    return _distinct(value, None)[:2]


def _unique_dim(value: torch.Tensor, dim: int, *flags: bool, **more: bool) -> tuple[Any, ...]:
    return _distinct(value, dim)


def _unique_consecutive(
    value: torch.Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> tuple[Any, ...]:
    return _distinct(value, dim)


def _distinct(value: torch.Tensor, dim: int | None) -> tuple[Any, ...]:
    shape = (value.numel(),) if dim is None else tuple(value.shape)
    count = value.numel() if dim is None else value.shape[dim]
    inverse = value.shape if dim is None else (count,)
    return value.new_empty(shape), value.new_empty(inverse, dtype=torch.int64), value.new_empty((count,), dtype=torch.int64)


def _repeat_interleave(repeats: torch.Tensor, output_size: int | None = None) -> torch.Tensor:
    return repeats.new_empty((repeats.numel() if output_size is None else output_size,))


def _bincount(value: torch.Tensor, weights: torch.Tensor | None = None, minlength: int = 0) -> torch.Tensor:
    kind = torch.int64 if weights is None else torch.float32 if weights.dtype is torch.float32 else torch.float64
    return value.new_empty((max(minlength, 1),), dtype=kind)


def grouped_product(
    left: torch.Tensor, right: torch.Tensor, offs: torch.Tensor | None = None, bias: torch.Tensor | None = None, out_dtype: Any = None
) -> torch.Tensor:
    """`torch._grouped_mm`, the experts of a mixture in one product. torch's own rule for shapes (2.13) takes bfloat16 only."""
    if left.dim() == 2 and right.dim() == 2:
        shape: tuple[int, ...] = (0 if offs is None else offs.shape[0], left.shape[0], right.shape[1])
    elif left.dim() == 3 and right.dim() == 3:
        shape = (left.shape[0], left.shape[1], right.shape[2])
    else:
        shape = (left.shape[-2], right.shape[-1])
    return left.new_empty(shape, dtype=out_dtype or left.dtype)


SIZED_BY_DATA: dict[Any, Callable[..., Any]] = {
    _aten.nonzero.default: _nonzero,
    _aten.nonzero_numpy.default: _nonzero_numpy,
    _aten.masked_select.default: _masked_select,
    _aten._unique2.default: _unique,
    _aten._unique.default: _unique_pair,
    _aten.unique_dim.default: _unique_dim,
    _aten.unique_consecutive.default: _unique_consecutive,
    _aten.repeat_interleave.Tensor: _repeat_interleave,
    _aten.bincount.default: _bincount,
}
