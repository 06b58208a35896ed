"""Made-up inputs for a model, from `--input 'x=float32[2,3,32,32]'`. Parsing needs no torch; only `build_inputs` does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
class InputSpec:
    """One input. `name` is empty for a positional one; `below` bounds integers, exclusive."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    below: int = DEFAULT_BELOW


def parse_input(text: str) -> InputSpec:
    """The input that `text` describes: `[name=]dtype[size,...][<bound]`.

    >>> parse_input("tokens=int64[2,16]<100")
    InputSpec(name='tokens', dtype='int64', shape=(2, 16), below=100)

    Raises:
        UsageError: saying which part is not as expected.
    """
    match = re.fullmatch(r"\s*(?:([^=\[\]<]*)=)?\s*([^=\[\]<]*?)\s*\[([^\[\]<]*)\]\s*(?:<(.*))?", text)
    if match is None:
        raise UsageError(f"--input {text!r}: expected name=dtype[sizes], as in {EXAMPLE}")
    name, dtype, sizes, bound = (part and part.strip() for part in match.groups())
    if name is not None and not name.isidentifier():
        raise UsageError(f"--input {text!r}: expected the name of an argument of `forward` before `=`, found {name!r}")
    if dtype not in DTYPES:
        raise UsageError(f"--input {text!r}: expected a dtype of {', '.join(DTYPES)}; found {dtype!r}")
    return InputSpec(name or "", dtype, _parse_shape(text, sizes), _parse_bound(text, dtype, bound))


def build_inputs(specs: Sequence[InputSpec]) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
    """(args, kwargs): standard normal numbers, integers from [0, below), fair booleans. The same each time; the global RNG is not used."""
    # torch is imported here so that the command line can parse without it.
    import torch

    generator = torch.Generator().manual_seed(0)
    args: list[torch.Tensor] = []
    kwargs: dict[str, torch.Tensor] = {}
    for spec in specs:
        dtype: torch.dtype = getattr(torch, spec.dtype)
        if spec.dtype in INTEGER or spec.dtype == "bool":
            value = torch.randint(spec.below, spec.shape, generator=generator).to(dtype)
        else:
            drawn = dtype if spec.dtype in COMPLEX else torch.float64
            value = torch.randn(spec.shape, generator=generator, dtype=drawn).to(dtype)
        if spec.name:
            kwargs[spec.name] = value
        else:
            args.append(value)
    return tuple(args), kwargs


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
