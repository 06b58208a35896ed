"""The model itself holds an example: `example_input_array` (Lightning), `dummy_inputs` (transformers), `default_cfg` (timm)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from gradflow.capture.guess.call import Call
from gradflow.capture.guess.subject import Construction, Subject, parameters_of


def propose(model: torch.nn.Module, construction: Construction, subject: Subject | None) -> Iterator[Call]:
    """The calls that these attributes describe."""
    names = list(parameters_of(model.forward))
    example = getattr(model, "example_input_array", None)
    if isinstance(example, torch.Tensor) and names:
        yield Call(((names[0], _text(example)),), "its `example_input_array`")
    size = (
        (getattr(model, "default_cfg", None) or {}).get("input_size") if isinstance(getattr(model, "default_cfg", None), Mapping) else None
    )
    if isinstance(size, tuple) and names:
        yield Call(((names[0], f"float32[2,{','.join(map(str, size))}]"),), "its `default_cfg`")


def _text(value: Any) -> str:
    dtype = str(value.dtype).removeprefix("torch.")
    bound = f"<{int(value.max()) + 1}" if not value.is_floating_point() and value.numel() else ""
    return f"{dtype}[{','.join(map(str, value.shape))}]{bound}"
