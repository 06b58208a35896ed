"""The running layer was given the input itself, and says what it takes: its channels, its features, its number of dimensions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import nn

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sizes import Sizes


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The tensor that the layer was given, as the layer takes it; it may have been given transposed."""
    if failure.leaf is None or not failure.leaf.shapes:
        return
    layer, got = failure.leaf.layer, failure.leaf.shapes[0]
    for name, shape in call.tensors().items():
        if sorted(shape.sizes) != sorted(got) or isinstance(layer, nn.Embedding):
            continue
        for wanted in wanted_by(layer, got, sizes):
            if shape.sizes == got:
                yield call.with_argument(name, Shape("float32" if shape.dtype.startswith("int") else shape.dtype, wanted).text)
            elif len(wanted) == len(got):
                yield call.with_argument(name, Shape(shape.dtype, _undone(shape.sizes, got, wanted)).text)


def wanted_by(layer: nn.Module, got: tuple[int, ...], sizes: Sizes) -> Iterator[tuple[int, ...]]:
    """The sizes that a layer takes in place of those that it got, the surest first; nothing where it does not tell."""
    batch = got[0] if got else sizes.batch
    match layer:
        case nn.modules.conv._ConvNd():
            rank = len(layer.kernel_size)
            if rank == 1 and len(got) == 3 and got[2] == layer.in_channels:
                yield (batch, layer.in_channels, got[1])
            if layer.transposed and len(got) < rank + 2:
                yield (batch, layer.in_channels, *(1,) * rank)
            spatial = got[-rank:] if len(got) >= rank + 1 and min(got[-rank:]) > 3 else (sizes.image,) * rank
            yield (batch, layer.in_channels, *spatial)
            yield (batch, layer.in_channels, *(64,) * rank)
        case nn.Linear():
            yield from ((*got[:-1], layer.in_features),) if len(got) > 1 else ()  # one number each is a batch of them
            yield (batch, layer.in_features)
            yield (batch, sizes.length, layer.in_features)
        case nn.RNNBase():
            yield (*got[:-1], layer.input_size) if len(got) == 3 else (batch, sizes.length, layer.input_size)
        case nn.RNNCellBase():
            yield (batch, layer.input_size)
        case nn.LayerNorm() | nn.RMSNorm():
            yield (*got[: len(got) - len(layer.normalized_shape)], *layer.normalized_shape)
            yield (batch, sizes.length, *layer.normalized_shape)
        case nn.modules.batchnorm._NormBase():
            name = type(layer).__name__
            rank = 2 if "2d" in name else 3 if "3d" in name else 0
            yield (batch, layer.num_features, *((sizes.image,) * rank))
            yield (batch, layer.num_features, sizes.length)
        case nn.GroupNorm():
            yield (batch, layer.num_channels, *got[2:])
        case nn.MultiheadAttention():
            yield (*got[:-1], layer.embed_dim) if len(got) == 3 else (batch, sizes.length, layer.embed_dim)


def _undone(written: tuple[int, ...], got: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """`wanted`, in the order in which the sizes stood before the model changed it."""
    orders = [order for order in itertools.permutations(range(len(got))) if all(got[at] == written[of] for at, of in enumerate(order))]
    best = min(orders, key=lambda order: sum(at != of for at, of in enumerate(order)) + 10 * (order[0] != 0), default=None)
    if best is None:
        return wanted
    undone = dict(zip(best, wanted, strict=True))
    return tuple(undone[of] for of in range(len(written)))
