"""How large a model is audited: under fake tensors (`--fake`), and with inputs of other sizes (`--batch`, `--seq`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Scale:
    """`fake`: no values are computed. `batch`: the first dimension of inputs, `seq`: the second of those with two or three; None leaves
    the inputs' own."""

    fake: bool = False
    batch: int | None = None
    seq: int | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The words that ask for them on a command line."""
        asked = (("--batch", self.batch), ("--seq", self.seq))
        sizes = (word for name, size in asked if size is not None for word in (name, str(size)))
        return (*(("--fake",) if self.fake else ()), *sizes)


AS_IT_IS = Scale()
"""Nothing changed."""


def resized(args: tuple[Any, ...], kwargs: Mapping[str, Any], scale: Scale) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inputs in other sizes. Rows repeat or end, so that every value stays valid.

    Only dimensions change that are as large as the first tensor's: a `mask` grows with its `tokens`, a table of other size stays.
    """
    inputs = list(_tensors([*args, *kwargs.values()]))
    rows = next((value.shape[0] for value in inputs if value.dim()), None)
    steps = next((value.shape[1] for value in inputs if value.dim() in (2, 3)), None)

    def change(value: torch.Tensor) -> torch.Tensor:
        if scale.batch is not None and value.dim() and value.shape[0] == rows:
            value = _cycled(value, 0, scale.batch)
        if scale.seq is not None and value.dim() in (2, 3) and value.shape[1] == steps:
            value = _cycled(value, 1, scale.seq)
        return value

    if scale.batch is None and scale.seq is None:
        return args, dict(kwargs)
    return tuple(_mapped(value, change) for value in args), {name: _mapped(value, change) for name, value in kwargs.items()}


def _cycled(value: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    # torch is imported here so that the command line can parse without it.
    import torch

    return value.index_select(dim, torch.arange(size) % value.shape[dim])


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if hasattr(value, "dim") and hasattr(value, "shape"):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if hasattr(value, "dim") and hasattr(value, "shape"):
        return change(value)
    if isinstance(value, dict):
        return {name: _mapped(item, change) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, change) for item in value)
    return value
