"""Watches the running statistics of normalisation layers whose parameters are frozen: in train mode they move with every forward pass."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import torch
from torch.nn.modules.batchnorm import _NormBase

from gradflow.capture.training.numbers import fingerprints

PASSES_LOOKED_AT = 8


class Statistics:
    """Layers by serial. A layer that was seen to train in any pass is left alone: programs freeze and thaw a critic in turns."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[weakref.ref[torch.nn.Module], int]] = {}
        self._training: set[int] = set()

    def note(self, modules: Iterable[tuple[int, torch.nn.Module]]) -> None:
        """Reads the statistics of the layers that are frozen now; called when a backward pass has ended, before the next forward pass."""
        for serial, module in modules:
            if not isinstance(module, _NormBase) or serial in self._training:
                continue
            if not _is_frozen(module):
                self._training.add(serial)
                self._first.pop(serial, None)
            elif module.training and serial not in self._first:
                self._first[serial] = (weakref.ref(module), _read(module))

    def moved(self) -> list[tuple[int, torch.nn.Module]]:
        """(serial, layer) of those that are frozen still and whose statistics are not what they were when they were first read."""
        found = [(serial, module, before) for serial, (ref, before) in self._first.items() if (module := ref()) is not None]
        return [(serial, module) for serial, module, before in found if _is_frozen(module) and _read(module) != before]


def _is_frozen(module: torch.nn.Module) -> bool:
    own = list(module.parameters(recurse=False))
    return bool(own) and not any(parameter.requires_grad for parameter in own)


def _read(module: torch.nn.Module) -> int:
    values = [value for value in (module.running_mean, module.running_var) if isinstance(value, torch.Tensor)]
    return hash(tuple(fingerprints(values)))
