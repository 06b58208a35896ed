"""A tensor has the wrong dtype: whole numbers where an index is meant, floating ones where a layer computes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.mend_call.spoken import spoken_tensors
from gradflow.capture.guess.sizes import Sizes

_WANTS_INDEX = re.compile(
    r"indices.*(Long|Int)|scalar type(s)?:? (Long|Int)|to have (one of the following )?scalar types?:? Long|must be.*integer"
    r"|int64|tensors used as indices|one_hot is only applicable to index|'Float'.*not implemented.*index|Expected.*Long"
)
_WANTS_FLOAT = re.compile(
    r"(not implemented for|found|but got|dtype.*|got).*'?(Long|Int|long|int)'?|Expected.*(floating|Float)"
    r"|must have the same dtype|expected.*float|can only.*floating|mat1 and mat2 must have the same dtype"
    r"|Input type.*should be the same|expected m1 and m2 to have the same dtype|not implemented for 'Long'|mixed dtype|share same datatype"
)


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The spoken tensors change their kind, one at a time; an index that is out of range gets a lower bound."""
    tensors = spoken_tensors(call, failure)
    layer = failure.leaf.layer if failure.leaf is not None else None
    if re.search(
        r"index out of range|out of bounds|index .* is out|assert_fail|Class values must be smaller|indexSelectLargeIndex|out-of-bounds",
        failure.message,
    ):
        bound = layer.num_embeddings if isinstance(layer, torch.nn.Embedding) else 2
        for name, shape in tensors.items():
            if shape.dtype.startswith("int") and shape.rest.startswith("<") and int(shape.rest[1:]) > bound:
                yield call.with_argument(name, Shape(shape.dtype, shape.sizes, f"<{bound}").text)
        for name, shape in tensors.items():
            if shape.dtype.startswith("int") and shape.rest.startswith("<") and int(shape.rest[1:]) > 1:
                yield call.with_argument(name, Shape(shape.dtype, shape.sizes, "<1").text)
    if _WANTS_INDEX.search(failure.message):
        bound = layer.num_embeddings if isinstance(layer, torch.nn.Embedding) else sizes.vocabulary
        for name, shape in tensors.items():
            if shape.dtype.startswith(("float", "bool")):
                new = shape.sizes[:2] if isinstance(layer, torch.nn.Embedding) and len(shape.sizes) > 2 else shape.sizes
                yield call.with_argument(name, Shape("int64", new, f"<{bound}").text)
    if _WANTS_FLOAT.search(failure.message):
        whole = {name: Shape("float32", shape.sizes).text for name, shape in tensors.items() if shape.dtype.startswith("int")}
        other = {name: Shape("float32", shape.sizes).text for name, shape in tensors.items() if shape.dtype == "bool"}
        yield from (call.with_argument(name, text) for name, text in {**whole, **other}.items())
        if len(whole) > 1:
            yield call.with_arguments(whole)
    if re.search(r"[Bb]ool", failure.message):
        for name, shape in tensors.items():
            if shape.dtype != "bool":
                yield call.with_argument(name, Shape("bool", shape.sizes, "==1").text)
