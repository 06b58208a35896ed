"""Inputs that are more than one tensor: numbers, texts, lists, dicts and objects of tensors, as in `[float32[3,32,32], float32[3,24,32]]`.

The grammar is a small part of Python's: tensors as in `--input` (`int64[2,16]<100`; `bool[2,16]==1` is filled with one value), literals,
lists, tuples, dicts, `tensor([[0, 1]])`, `packed(...)` (a packed sequence) and `Name(field=...)`, an object with these fields. Parsing
needs no torch, and evaluates nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from gradflow.errors import UsageError

if TYPE_CHECKING:
    import torch

TENSOR = Callable[[str, tuple[int, ...], "int | None", "float | None"], "torch.Tensor"]
"""Makes a tensor: dtype, sizes, bound (exclusive) and value to fill it with."""

EXAMPLES = "5, 'text', [float32[3,32,32], float32[3,24,32]], {'boxes': float32[4,4]}, Data(x=float32[4,8], edge_index=int64[2,6]<4)"


@dataclass(frozen=True, slots=True)
class ValueSpec:
    """An input written in that grammar. `name` is empty for a positional one."""

    name: str
    text: str


def parse_value(name: str, text: str, dtypes: tuple[str, ...]) -> ValueSpec:
    """The input `text`, which stands for argument `name`.

    Raises:
        UsageError: naming the part that is not of the grammar.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise UsageError(f"--input {text!r}: expected a tensor or a value, as in {EXAMPLES}") from None
    _walk(tree, text, _Checker(dtypes))
    return ValueSpec(name, ast.unparse(tree))


def build_value(spec: ValueSpec, dtypes: tuple[str, ...], tensor: TENSOR) -> Any:
    """The value; its tensors are made by `tensor`. An object is torch_geometric's `Data` where that is asked for and installed."""
    return _walk(ast.parse(spec.text, mode="eval").body, spec.text, _Builder(dtypes, tensor))


class _Checker:
    """What `_walk` makes of the parts when nothing is to be built."""

    def __init__(self, dtypes: tuple[str, ...]) -> None:
        self.dtypes = dtypes

    def tensor(self, dtype: str, shape: tuple[int, ...], below: int | None, fill: float | None) -> Any:
        return None

    def made(self, name: str, fields: dict[str, Any]) -> Any:
        return None


class _Builder(_Checker):
    def __init__(self, dtypes: tuple[str, ...], tensor: TENSOR) -> None:
        super().__init__(dtypes)
        self._tensor = tensor

    def tensor(self, dtype: str, shape: tuple[int, ...], below: int | None, fill: float | None) -> Any:
        return self._tensor(dtype, shape, below, fill)

    def made(self, name: str, fields: dict[str, Any]) -> Any:
        return make_object(name, fields)


def make_object(name: str, fields: dict[str, Any]) -> Any:
    """An object with these fields: a tensor, a packed sequence, torch_geometric's class of that name, or a plain namespace."""
    # torch is imported here so that the command line can parse without it.
    import torch

    if name == "tensor":
        return torch.tensor(*fields.values())
    if name == "packed":
        return torch.nn.utils.rnn.pack_sequence(list(fields.values()), enforce_sorted=False)
    if name in ("Data", "Batch", "HeteroData"):
        try:
            # only graphs need it, and whoever has graphs has it
            from torch_geometric import data  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ImportError:
            return SimpleNamespace(**fields)
        return data.Data(**fields)
    return SimpleNamespace(**fields)


def _walk(node: ast.expr, text: str, maker: _Checker) -> Any:
    match node:
        case ast.Subscript(value=ast.Name(id=dtype)) if dtype in maker.dtypes:
            return maker.tensor(dtype, _sizes(node.slice, text), None, None)
        case ast.Compare(left=ast.Subscript(value=ast.Name(id=dtype)) as left, ops=[operation], comparators=[bound]) if (
            dtype in maker.dtypes
        ):
            number = _literal(bound, text)
            if isinstance(operation, ast.Lt):
                return maker.tensor(dtype, _sizes(left.slice, text), int(number), None)
            if isinstance(operation, ast.Eq):
                return maker.tensor(dtype, _sizes(left.slice, text), None, float(number))
            raise UsageError(f"--input {text!r}: expected `<` and a bound or `==` and a value after a tensor")
        case ast.List(elts=elements):
            return [_walk(element, text, maker) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(_walk(element, text, maker) for element in elements)
        case ast.Dict(keys=keys, values=values) if all(keys):
            return {_literal(key, text): _walk(value, text, maker) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            fields = {f"_{number}": _walk(value, text, maker) for number, value in enumerate(args)}
            fields.update({entry.arg: _walk(entry.value, text, maker) for entry in keywords if entry.arg})
            return maker.made(name, fields)
    return _literal(node, text)


def _sizes(node: ast.expr, text: str) -> tuple[int, ...]:
    sizes = _literal(node, text)
    sizes = sizes if isinstance(sizes, tuple) else (sizes,)
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise UsageError(f"--input {text!r}: expected sizes as whole numbers, as in [2,3,32,32]; found {ast.unparse(node)}")
    return sizes


def _literal(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise UsageError(f"--input {text!r}: expected a tensor or a value, as in {EXAMPLES}; found `{ast.unparse(node)}`") from None
