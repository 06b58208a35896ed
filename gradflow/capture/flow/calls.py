"""What torch's callables mean to the recorder: which pass through unseen, which write in place, which stop a gradient and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from gradflow.graph.flow import CutReason

_Tensor = torch.Tensor

# Reading these is no use of the value: "reading .data is use; reading .shape is not".
_SILENT_ATTRIBUTES = (
    "shape", "dtype", "device", "layout", "requires_grad", "grad_fn", "is_leaf", "grad", "ndim", "names", "is_cuda", "is_sparse",
    "is_quantized", "is_meta", "output_nr", "_version", "_base", "_cdata", "_grad", "_grad_fn", "retains_grad", "name", "volatile",
    "itemsize", "nbytes", "is_cpu", "is_mps", "is_xpu", "is_sparse_csr", "is_nested", "_backward_hooks", "_post_accumulate_grad_hooks",
    "is_mkldnn", "is_mtia", "is_vulkan", "is_ipu", "is_xla", "is_ort", "is_maia",
)  # fmt: skip
_SILENT_METHODS = (
    "size", "dim", "numel", "nelement", "stride", "storage_offset", "is_contiguous", "element_size", "data_ptr", "is_floating_point",
    "is_complex", "is_shared", "is_pinned", "__len__", "__hash__", "_is_view", "register_hook", "retain_grad", "backward",
    "untyped_storage", "storage", "_typed_storage", "is_inference", "has_names", "ndimension", "get_device", "is_signed",
    "_backward_hooks", "is_same_size", "register_post_accumulate_grad_hook", "is_set_to", "dim_order", "requires_grad_", "share_memory_",
    "__bool__", "__dir__", "is_conj", "is_neg", "is_coalesced", "sparse_dim", "dense_dim", "__deepcopy__", "_is_all_true", "_is_any_true",
)  # fmt: skip
_SILENT_FUNCTIONS = (
    "numel", "is_floating_point", "is_complex", "is_tensor", "is_nonzero", "is_same_size", "get_device", "result_type", "is_signed",
    "is_grad_enabled", "allclose", "equal", "is_autocast_enabled",
)  # fmt: skip


def silent_calls() -> frozenset[Callable[..., Any]]:
    """The callables that the recorder lets pass without a look."""
    found: set[Callable[..., Any]] = set()
    for name in _SILENT_ATTRIBUTES:
        attribute = getattr(_Tensor, name, None)
        if attribute is not None and hasattr(attribute, "__get__"):
            found.add(attribute.__get__)
            if hasattr(attribute, "__set__"):
                found.add(attribute.__set__)
    found.update(method for name in _SILENT_METHODS if (method := getattr(_Tensor, name, None)) is not None)
    found.update(function for name in _SILENT_FUNCTIONS if (function := getattr(torch, name, None)) is not None)
    found.add(torch.autograd.grad)
    found.add(torch.autograd.backward)
    return frozenset(found)


OVERWRITERS = frozenset({
    "copy_", "fill_", "zero_", "set_", "normal_", "uniform_", "random_", "exponential_", "bernoulli_", "cauchy_", "geometric_",
    "log_normal_", "resize_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_", "constant_", "ones_", "zeros_",
    "trunc_normal_", "orthogonal_", "eye_",
})  # fmt: skip
"""In-place calls after which nothing of the old value is left."""

TENSOR_MAKERS = frozenset(
    {"tensor", "as_tensor", "asarray", "new_tensor", "full", "full_like", "new_full", "scalar_tensor", "from_numpy", "from_dlpack"}
)
"""Calls that make a tensor from Python values, so that a value which left torch can come back."""

_SHAPE_ONLY = frozenset({
    "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like", "new_zeros", "new_ones", "new_empty",
    "new_full", "new_empty_strided", "new_tensor",
})  # fmt: skip
"""Calls that read no value of their first tensor, only its shape and type."""

COPIERS = frozenset({"tensor", "new_tensor", "scalar_tensor", "full"})
"""Calls after which nothing connects the new tensor with the ones that it was made of."""

CASTS = frozenset({"to", "type", "long", "int", "short", "char", "byte", "bool", "type_as", "double", "float", "half", "bfloat16", "trunc"})

HOST_CALLS = {
    "item": "item()",
    "tolist": "tolist()",
    "__float__": "float()",
    "__int__": "int()",
    "__index__": "int()",
    "__complex__": "complex()",
    "__format__": "format()",
    "__repr__": "repr()",
    "__str__": "str()",
    "numpy": "numpy()",
    "__array__": "numpy()",
    "to_dlpack": "dlpack",
    "__dlpack__": "dlpack",
}
"""Methods through which a value leaves torch, and what the user calls it."""


def cut_reason(name: str) -> CutReason:
    """Why a float tensor that needs a gradient comes out of `name` without one."""
    if name in CASTS:
        return CutReason.INTEGER_CAST
    if name in TENSOR_MAKERS:
        return CutReason.TENSOR_COPY
    return CutReason.NO_DERIVATIVE


class CallKind:
    """What is known of one torch callable: its name, whether it writes its first argument, whether it is a single C++ operation, and the
    numbers that its arguments have by default."""

    __slots__ = ("atomic", "defaults", "in_place", "makes", "name", "overwrites", "shape_only")

    def __init__(self, func: Callable[..., Any]) -> None:
        self.name: str = getattr(func, "__name__", type(func).__name__)
        self.in_place = (self.name.endswith("_") and not self.name.endswith("__")) or self.name in _DUNDER_WRITES
        self.overwrites = self.name in OVERWRITERS
        self.makes = self.name in TENSOR_MAKERS
        self.shape_only = self.name in _SHAPE_ONLY
        # torch's Python functions hand all their arguments on, those that nobody gave included.
        given = (*(getattr(func, "__defaults__", None) or ()), *(getattr(func, "__kwdefaults__", None) or {}).values())
        self.defaults = tuple(value for value in given if type(value) in (int, float))
        self.atomic = type(func).__name__ in ("builtin_function_or_method", "method_descriptor", "wrapper_descriptor")


_DUNDER_WRITES = frozenset({
    "__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__", "__imod__", "__ipow__", "__iand__", "__ior__",
    "__ixor__", "__ilshift__", "__irshift__", "__idiv__",
})  # fmt: skip


SCALARS = frozenset({float, int, complex})


def computed(values: Iterable[Any], written: tuple[Any, ...]) -> bool:
    """Whether a number among `values` is none of those that are `written` in the code itself, so that it was computed."""
    for value in values:
        if type(value) in SCALARS:
            if not any(type(constant) is type(value) and value == constant for constant in written):
                return True
        elif isinstance(value, (list, tuple)):
            if computed(value, written):
                return True
        elif type(value).__name__ == "ndarray":
            return True
    return False


_ZERO_MAKERS = frozenset({"zeros_like", "zero_", "zeros", "new_zeros"})


def gives_zeros(function: object) -> bool:
    """Whether the code of a gradient hook names zeros outright (`lambda g: g * 0`, `zeros_like`), so that zeros are what it is for."""
    code = getattr(getattr(function, "func", function), "__code__", None)
    if code is None:
        return False
    return bool(_ZERO_MAKERS.intersection(code.co_names)) or any(type(value) in (int, float) and value == 0 for value in code.co_consts)


def tensors_in(out: Any) -> list[torch.Tensor]:
    """Every tensor in what a call gave: nested tuples, lists and dicts."""
    if isinstance(out, torch.Tensor):
        return [out]
    if isinstance(out, (list, tuple)):
        return [tensor for value in out for tensor in tensors_in(value)]
    if isinstance(out, dict):
        return [tensor for value in out.values() for tensor in tensors_in(value)]
    return []


def alike(outputs: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Outputs by what autograd does for them: those with a gradient, those without, and integers (the indices of a `max`)."""
    if len(outputs) == 1:
        return [outputs]
    groups: tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]] = ([], [], [])
    for value in outputs:
        groups[0 if value.requires_grad else 1 if value.is_floating_point() or value.is_complex() else 2].append(value)
    return [group for group in groups if group]
