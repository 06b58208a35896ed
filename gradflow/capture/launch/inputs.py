"""Made-up inputs for a model, from `--input 'x=float32[2,3,32,32]'`. Parsing needs no torch; only `build_inputs` does.

What is no single tensor (a number, a list of images) is read by `values`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradflow.capture.launch.values import ValueSpec, build_value, parse_value
from gradflow.errors import UsageError

if TYPE_CHECKING:
    import torch

FLOATING = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
INTEGER = ("uint8", "int8", "int16", "int32", "int64")
DTYPES = (*FLOATING, *COMPLEX, *INTEGER, "bool")

DEFAULT_BELOW = 2
"""Integers are drawn from [0, 2) where no bound is given: a valid index into nearly every embedding, and a valid class."""

EXAMPLE = "'x=float32[2,3,32,32]' or 'tokens=int64[2,16]<100'"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input that is one tensor. `name` is empty for a positional one; `below` bounds integers, exclusive."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    below: int = DEFAULT_BELOW


InputSpec = TensorSpec | ValueSpec


def parse_input(text: str) -> InputSpec:
    """The input that `text` describes: `[name=]dtype[size,...][<bound]`.

    >>> parse_input("tokens=int64[2,16]<100")
    TensorSpec(name='tokens', dtype='int64', shape=(2, 16), below=100)

    Raises:
        UsageError: saying which part is not as expected.
    """
    match = re.fullmatch(r"\s*(?:([^=\[\]<]*)=)?\s*([^=\[\]<]*?)\s*\[([^\[\]<]*)\]\s*(?:<(.*))?", text)
    if match is None or (not match[2] and "(" in match[3]):  # a list of tuples is no tensor without a dtype
        other = re.fullmatch(r"\s*(?:([A-Za-z_]\w*)\s*=(?!=))?\s*(.*\S)\s*", text, re.DOTALL)
        if other is not None and _looks_like_a_value(other[2]):
            return parse_value(other[1] or "", other[2], DTYPES)
        raise UsageError(f"--input {text!r}: expected name=dtype[sizes], as in {EXAMPLE}")
    name, dtype, sizes, bound = (part and part.strip() for part in match.groups())
    if name is not None and not name.isidentifier():
        raise UsageError(f"--input {text!r}: expected the name of an argument of `forward` before `=`, found {name!r}")
    if dtype not in DTYPES:
        raise UsageError(f"--input {text!r}: expected a dtype of {', '.join(DTYPES)}; found {dtype!r}")
    return TensorSpec(name or "", dtype, _parse_shape(text, sizes), _parse_bound(text, dtype, bound))


def build_inputs(specs: Sequence[InputSpec], seed: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(args, kwargs): standard normal numbers, integers from [0, below), fair booleans. The same for a seed; the global RNG is not used."""
    # torch is imported here so that the command line can parse without it.
    import torch

    generator = torch.Generator().manual_seed(seed)

    def tensor(dtype: str, shape: tuple[int, ...], below: int | None = None, fill: float | None = None) -> torch.Tensor:
        kind: torch.dtype = getattr(torch, dtype)
        if fill is not None:
            return torch.full(shape, fill).to(kind)
        if dtype in INTEGER or dtype == "bool":
            return torch.randint(below or DEFAULT_BELOW, shape, generator=generator).to(kind)
        drawn = kind if dtype in COMPLEX else torch.float64
        return torch.randn(shape, generator=generator, dtype=drawn).to(kind)

    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for spec in specs:
        if isinstance(spec, TensorSpec):
            value = tensor(spec.dtype, spec.shape, spec.below)
        else:
            value = build_value(spec, DTYPES, tensor)
        if spec.name:
            kwargs[spec.name] = value
        else:
            args.append(value)
    return tuple(args), kwargs


def text_of(spec: InputSpec) -> str:
    """The value as it is written after the name."""
    if isinstance(spec, ValueSpec):
        return spec.text
    bound = f"<{spec.below}" if spec.dtype in INTEGER and spec.below != DEFAULT_BELOW else ""
    return f"{spec.dtype}[{','.join(map(str, spec.shape))}]{bound}"


def _looks_like_a_value(text: str) -> bool:
    """Whether an input without a name may be a value of more than one tensor, rather than a tensor misspelt."""
    return re.match(r"[\[({'\"\d-]|(None|True|False)$|[A-Za-z_]\w*\(", text) is not None or "==" in text


def _parse_shape(text: str, sizes: str) -> tuple[int, ...]:
    if not sizes:
        return ()
    parts = [part.strip() for part in sizes.split(",")]
    for part in parts:
        if not part.isdecimal():
            raise UsageError(f"--input {text!r}: expected sizes as whole numbers, as in [2,3,32,32]; found {part!r}")
    return tuple(int(part) for part in parts)


def _parse_bound(text: str, dtype: str, bound: str | None) -> int:
    if bound is None:
        return DEFAULT_BELOW
    if dtype not in INTEGER:
        raise UsageError(f"--input {text!r}: a bound (`<{bound}`) goes with an integer dtype, found {dtype}")
    if not bound.isdecimal() or int(bound) < 1:
        raise UsageError(f"--input {text!r}: expected a whole number above 0 after `<`, found {bound!r}")
    return int(bound)
