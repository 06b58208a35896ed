"""Packed sequences under fake tensors. torch's own functions read the lengths from memory; these get them as Python numbers.

Where the lengths follow from the inputs they are the true ones, else every sequence is taken as long as the longest may be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch._decomp.decompositions as decompositions
from torch._subclasses.fake_tensor import FakeTensor

from gradflow.capture.fake.answers import Answers
from gradflow.capture.fake.overriding import overridable
from gradflow.capture.flow.patches import Patches

_RECURRENT = {"lstm": "lstm_data_impl", "gru": "gru_impl_data", "rnn_tanh": "rnn_tanh_data", "rnn_relu": "rnn_relu_data"}


def pack_by_numbers(patches: Patches, answers: Answers) -> None:
    """Replaces the functions that pack, unpack, and run over what is packed."""
    functions = torch._VF

    def pack(value: torch.Tensor, lengths: torch.Tensor, batch_first: bool) -> Any:
        counts = _known(lengths)
        if counts is None:
            answers.size()
            counts = [value.shape[1 if batch_first else 0]] * lengths.numel()
        return _packed(value, counts, batch_first)

    def unpack(value: torch.Tensor, sizes: torch.Tensor, batch_first: bool, padding: float, total: int) -> Any:
        return _unpacked(value, _sizes(value, sizes), batch_first, padding, total)

    patches.put(functions, "_pack_padded_sequence", overridable("_pack_padded_sequence", functions._pack_padded_sequence, pack))
    patches.put(functions, "_pad_packed_sequence", overridable("_pad_packed_sequence", functions._pad_packed_sequence, unpack))
    for name, rule in _RECURRENT.items():
        if hasattr(decompositions, rule):
            original = getattr(functions, name)
            patches.put(functions, name, overridable(name, original, _recurrent(original, getattr(decompositions, rule))))


def _recurrent(original: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    def run(value: torch.Tensor, *args: Any) -> Any:
        if isinstance(args[0], torch.Tensor) and isinstance(args[2], (list, tuple)):
            return rule(value, _sizes(value, args[0]), *args[1:])
        return original(value, *args)

    return run


def _packed(value: torch.Tensor, counts: Sequence[int], batch_first: bool) -> tuple[torch.Tensor, torch.Tensor]:
    rows = value.transpose(0, 1) if batch_first else value
    steps, batch = rows.shape[0], rows.shape[1]
    sizes = [sum(count > step for count in counts) for step in range(min(steps, max(counts)))]
    places = [step * batch + number for step, size in enumerate(sizes) for number in range(size)]
    flat = rows.reshape(steps * batch, *rows.shape[2:])
    return flat.index_select(0, torch.tensor(places)), torch.tensor(sizes)


def _unpacked(value: torch.Tensor, sizes: list[int], batch_first: bool, padding: float, total: int) -> tuple[torch.Tensor, torch.Tensor]:
    batch, steps = sizes[0], max(len(sizes), total)
    places = [step * batch + number for step, size in enumerate(sizes) for number in range(size)]
    flat = value.new_full((steps * batch, *value.shape[1:]), padding).index_copy(0, torch.tensor(places), value)
    padded = flat.view(steps, batch, *value.shape[1:])
    lengths = torch.tensor([sum(size > number for size in sizes) for number in range(batch)])
    return padded.transpose(0, 1) if batch_first else padded, lengths


def _sizes(value: torch.Tensor, sizes: torch.Tensor) -> list[int]:
    """How many sequences go on at each step; all of them where that is not known."""
    return _known(sizes) or [value.shape[0] // sizes.numel()] * sizes.numel()


def _known(numbers: torch.Tensor) -> list[int] | None:
    value = numbers.constant if isinstance(numbers, FakeTensor) else numbers
    return None if value is None else [int(number) for number in torch._C.TensorBase.tolist(value)]
