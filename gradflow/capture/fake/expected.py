"""What a small unknown value most likely is, so that a branch on it goes the way of a healthy run.

A single number counts as 1. A mask over several elements counts as neither empty nor full. Nothing is NaN or infinite. The expectation
stands on the fake tensor itself, as an attribute: no real tensor is touched, and a fake one is never saved.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

_ATTRIBUTE = "_gradflow_expected"
_COMPARED = {"eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}
_KEPT = frozenset({
    "_to_copy", "alias", "detach", "clone", "view", "_unsafe_view", "squeeze", "unsqueeze", "select", "slice", "expand", "permute", "t",
})  # fmt: skip


def expected(tensor: Any) -> bool | int | float | None:
    """What is expected of a tensor, the same in all its elements; None where nothing is."""
    if not isinstance(tensor, torch.Tensor):
        return tensor if isinstance(tensor, (bool, int, float)) else None
    constant = getattr(tensor, "constant", None)
    if constant is not None and constant.numel() == 1:
        value: bool | int | float = constant.reshape(()).tolist()
        return value
    found: bool | int | float | None = getattr(tensor, _ATTRIBUTE, None)
    if found is None and tensor.numel() == 1 and tensor.dtype is not torch.bool:
        return 1
    return found


def expect(func: Any, out: FakeTensor, args: Sequence[Any]) -> None:
    """Writes on `out` what the operation `func` makes of what is expected of its arguments."""
    name: str = func._schema.name.removeprefix("aten::") if isinstance(func, torch._ops.OpOverload) else ""
    if not args or not (out.dtype is torch.bool or name in _KEPT):
        return
    value = _rule(name, args)
    if value is not None:
        setattr(out, _ATTRIBUTE, value)


def _rule(name: str, args: Sequence[Any]) -> bool | int | float | None:
    first = args[0]
    second = args[1] if len(args) > 1 else None
    if name in _KEPT:
        return getattr(first, _ATTRIBUTE, None)
    if name in ("isnan", "isinf"):
        return False
    if name in _COMPARED:
        return _compared(name, first, second)
    if name in ("any", "all"):
        found = expected(first)
        return bool(found) if found is not None else name == "any"
    if name in ("logical_not", "bitwise_not"):
        found = expected(first)
        return None if found is None else not found
    if name in ("logical_and", "bitwise_and", "__and__", "mul"):
        both = (expected(first), expected(second))
        return False if False in both else None if None in both else True
    if name in ("logical_or", "bitwise_or", "__or__"):
        both = (expected(first), expected(second))
        return True if True in both else None if None in both else False
    return None


def _compared(name: str, first: Any, second: Any) -> bool | None:
    if first is second and name in ("eq", "ne"):
        return name == "eq"  # `x != x` is how torch asks for NaN
    if isinstance(second, float) and math.isinf(second) and name in ("eq", "ne"):
        return name == "ne"
    several = [value for value in (first, second) if isinstance(value, torch.Tensor) and value.numel() != 1]
    if any(getattr(value, _ATTRIBUTE, None) is None for value in several):
        return None
    left, right = expected(first), expected(second)
    return None if left is None or right is None else bool(_COMPARED[name](left, right))
