"""An argument is a list of tensors: each becomes what the failing layer takes, or the list becomes longer by one, or shorter."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape, shape_of
from gradflow.capture.guess.mend_call.layer_sizes import wanted_by
from gradflow.capture.guess.sizes import Sizes

_PART = re.compile(r"\w+\[[\d,\s]*\](?:\s*(?:<|==)\s*[\w.]+)?")

_LONGEST = 6


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Each list of the call."""
    for name, text in call.arguments:
        parts = [shape for part in _PART.findall(text) if (shape := shape_of(part)) is not None] if text.startswith("[") else []
        if not parts:
            continue
        if failure.leaf is not None and failure.leaf.shapes:
            got = failure.leaf.shapes[0]
            wanted = next(iter(wanted_by(failure.leaf.layer, got, sizes)), None)
            if wanted is not None and any(part.sizes == got for part in parts):
                yield call.with_argument(name, _listed([Shape("float32", wanted) if part.sizes == got else part for part in parts]))
        if "not enough values to unpack (expected 4" in failure.message:
            maps = [Shape("float32", (sizes.batch, part.sizes[-1], sizes.image, sizes.image)) for part in parts]
            yield call.with_argument(name, _listed(maps))
        for rank, one in ((3, (sizes.channels,)), (4, (sizes.channels, sizes.frames))):  # examples, which have no batch
            if f"not enough values to unpack (expected {rank}" in failure.message:
                yield call.with_argument(name, _listed([Shape("float32", (*one, sizes.image, sizes.image)) for _ in parts]))
        if ("list index out of range" in failure.message or "not enough values" in failure.message) and len(parts) < _LONGEST:
            yield call.with_argument(name, _listed([_doubled(parts[0]), *parts]))
            yield call.with_argument(name, _listed([*parts, parts[-1]]))
        if "too many values" in failure.message or "index" in failure.message:
            yield from (call.with_argument(name, _listed(parts[:-1])),) if len(parts) > 1 else ()


def _doubled(part: Shape) -> Shape:
    """The same map with twice as many pixels a side."""
    kept = 2 if len(part.sizes) > 2 else len(part.sizes)
    return Shape(part.dtype, (*part.sizes[:kept], *(2 * side for side in part.sizes[kept:])), part.rest)


def _listed(parts: list[Shape]) -> str:
    return f"[{', '.join(part.text for part in parts)}]"
