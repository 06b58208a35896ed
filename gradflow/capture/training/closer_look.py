"""A closer look at parameters that were asked for: how far a step moves each, and how much of what its layer gives is zero.

Reads only. A weight is copied before a step, since the step overwrites it, and all copies together are bounded; of an output two numbers
are kept. Which parameters are meant is asked before the call of an outermost module that is new, and before a step.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

import torch

from gradflow.capture.facts.inventory import find_roots, take_inventory
from gradflow.capture.facts.names import learn_names, variable_of
from gradflow.capture.flow.calls import tensors_in
from gradflow.capture.flow.frames import RUNNING
from gradflow.capture.flow.patches import Patches
from gradflow.capture.flow.recorder import Recorder
from gradflow.capture.flow.values import Trace
from gradflow.capture.training.numbers import has_values, local, norms_of
from gradflow.capture.training.registry import Registry
from gradflow.focus import names_parameter

MOST_COPIED = 256 * 2**20
"""Bytes of weights that are copied for one step: beyond them the largest parameters go without."""
LOOKS_AT_MOST = 64
_FUNCTIONAL = torch.nn.functional
_ON_THE_WAY: tuple[Any, ...] = (
    torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, _FUNCTIONAL.relu, _FUNCTIONAL.relu_, _FUNCTIONAL.relu6,
    _FUNCTIONAL.hardtanh, _FUNCTIONAL.hardtanh_, _FUNCTIONAL.hardswish, _FUNCTIONAL.hardsigmoid, _FUNCTIONAL.threshold,
    _FUNCTIONAL.softshrink, _FUNCTIONAL.hardshrink, torch.clamp, torch.clamp_, torch.clamp_min, torch.Tensor.clamp, torch.Tensor.clamp_,
    torch.Tensor.clamp_min, _FUNCTIONAL.batch_norm, _FUNCTIONAL.instance_norm, _FUNCTIONAL.group_norm, _FUNCTIONAL.layer_norm,
)  # fmt: skip
"""Calls through which a layer's output goes before anything else takes it: its zeros are those of the last of them."""


class CloserLook:
    """What `patterns` name, among the parameters of a running program. `took_part` gives the leaves (serials) that matter so far."""

    def __init__(self, patterns: Sequence[str], trace: Trace, registry: Registry, took_part: Callable[[], set[int]]) -> None:
        self._patterns = tuple(patterns)
        self._trace = trace
        self._registry = registry
        self._took_part = took_part
        self._owners: dict[int, set[int]] = {}
        self._modules: set[int] = set()
        self._met: set[int] = set()
        self._population = (-1, -1)
        self._looks = 0
        self._zeros: dict[int, list[int]] = {}
        self._marks: dict[int, tuple[weakref.ref[torch.Tensor], int, tuple[int, int]]] = {}
        self._copies: dict[int, torch.Tensor] = {}
        self._too_large: set[int] = set()
        self._asleep = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report has to say of what was left out."""
        if not self._too_large:
            return ()
        what = f"{len(self._too_large)} parameter{'s' if len(self._too_large) > 1 else ''}"
        return (f"|dw|/|w| of {what} in focus was not measured: copies of at most {MOST_COPIED >> 20} MiB of weights are made for a step",)

    def observe(self, patches: Patches, recorder: Recorder | None) -> None:
        """Puts the watch on module calls in place, and with a `recorder` that on what takes a layer's output."""
        original = torch.nn.Module.__call__

        def called(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self._asleep or torch.compiler.is_compiling():
                return original(module, *args, **kwargs)
            serial = self._registry.serial(module)
            if not RUNNING.serials and serial not in self._met:
                self._met.add(serial)
                self._find(sys._getframe(1))
            out = original(module, *args, **kwargs)
            if serial in self._modules:
                self._note_output(serial, out)
            return out

        patches.put(torch.nn.Module, "__call__", called)
        for function in _ON_THE_WAY if recorder is not None else ():
            if recorder is not None:
                recorder.listen(function, self._note_next)

    def sleep(self) -> None:
        """Measures nothing from here on."""
        self._asleep = True
        self._copies.clear()

    def zero_shares(self) -> dict[int, float]:
        """By leaf (serial), the share of exact zeros in all that the modules which hold it gave."""
        found = {}
        for leaf, modules in self._owners.items():
            counts = [self._zeros[serial] for serial in modules if serial in self._zeros]
            total = sum(count[1] for count in counts)
            if total:
                found[leaf] = sum(count[0] for count in counts) / total
        return found

    def before_step(self, held: Iterable[tuple[int, torch.Tensor]]) -> None:
        """Copies the weights that were asked for, among those `held` (serial, tensor) by the optimizer that is about to step."""
        self._copies.clear()
        if self._asleep:
            return
        if self._population != (len(self._registry.modules), len(self._trace.leaves)):
            self._find(sys._getframe(1))
        values = [(serial, local(tensor.detach())) for serial, tensor in held if serial in self._owners and has_values(tensor)]
        left = MOST_COPIED
        for serial, value in sorted(values, key=lambda entry: entry[1].numel()):
            left -= value.numel() * value.element_size()
            if left < 0:
                self._too_large.add(serial)
            else:
                self._copies[serial] = value.clone()

    def after_step(self, held: Iterable[tuple[int, torch.Tensor]]) -> dict[int, float]:
        """By leaf (serial), |dw|/|w| of the step just taken: L2 norms over all elements, of this process's part where it is sharded.

        A weight that was all zero has none.
        """
        pairs = [(serial, self._copies.pop(serial), local(tensor.detach())) for serial, tensor in held if serial in self._copies]
        ratios = {}
        for serial, old, new in pairs:
            wide = torch.promote_types(old.dtype, torch.float32)
            size, change = norms_of([old, new.to(wide) - old.to(wide)])
            if size:
                ratios[serial] = change / size
        return ratios

    def _find(self, frame: FrameType | None) -> None:
        """Learns which parameters are meant, and which modules hold them. Keeps none of them alive."""
        if self._looks >= LOOKS_AT_MOST:
            return
        self._looks += 1
        with torch._C.DisableTorchFunction():
            part = self._took_part()
            roots = find_roots(self._registry, part, self._trace)
            loose = {serial: tensor for serial in part if (tensor := self._trace.leaves[serial].ref()) is not None}
            named = learn_names([*(root.module for root in roots), *loose.values()], frame)
            for root in roots:
                root.name = variable_of(named.get(id(root.module), ""))
            names = {serial: named[id(tensor)] for serial, tensor in loose.items() if id(tensor) in named}
            inventory = take_inventory(self._registry, self._trace, roots, part, part, names, set())
            at: dict[str, set[int]] = {}
            for serial, path in inventory.paths.items():
                at.setdefault(path, set()).add(serial)
            for member in inventory.members:
                # A name is prefixed by its root's once there are several roots, which may not be known yet.
                known = (member.name, f"{member.root}.{member.name}")
                if any(names_parameter(pattern, name) for pattern in self._patterns for name in known):
                    for leaf in member.leaves:
                        self._owners.setdefault(leaf, set()).update(at.get(member.owner, ()))
                    self._modules |= at.get(member.owner, set())
        self._population = (len(self._registry.modules), len(self._trace.leaves))

    def _note_output(self, serial: int, out: Any) -> None:
        tensors = tensors_in(out)
        counted = _count(tensors[0]) if tensors else None
        if counted is not None:
            self._add(serial, counted)
            self._mark(tensors[0], serial, counted)

    def _note_next(self, taken: Any, out: Any) -> None:
        """What takes a layer's output next has given `out`: its zeros count in place of those before."""
        mark = self._marks.get(id(taken)) if isinstance(taken, torch.Tensor) else None
        if mark is None or mark[0]() is not taken or not isinstance(out, torch.Tensor):
            return
        counted = _count(out)
        if counted is not None:
            _, serial, (zeros, total) = mark
            self._add(serial, (counted[0] - zeros, counted[1] - total))
            self._marks.pop(id(taken))  # a second one that takes it is a branch of its own
            self._mark(out, serial, counted)

    def _add(self, serial: int, counted: tuple[int, int]) -> None:
        zeros, total = self._zeros.get(serial, (0, 0))
        self._zeros[serial] = [zeros + counted[0], total + counted[1]]

    def _mark(self, tensor: torch.Tensor, serial: int, counted: tuple[int, int]) -> None:
        key = id(tensor)

        def forget(ref: weakref.ref[torch.Tensor]) -> None:
            mark = self._marks.get(key)
            if mark is not None and mark[0] is ref:
                del self._marks[key]

        self._marks[key] = (weakref.ref(tensor, forget), serial, counted)


def _count(tensor: torch.Tensor) -> tuple[int, int] | None:
    """(exact zeros, elements) of a tensor of numbers; None where its values cannot be read here."""
    if torch._C._are_functorch_transforms_active() or not has_values(tensor) or not tensor.is_floating_point():
        return None
    if tensor.is_cuda and torch.cuda.is_current_stream_capturing():
        return None  # a read would end the capture of a CUDA graph
    with torch.no_grad(), torch._C.DisableTorchFunction():
        value = local(tensor.detach())
        if value.layout is not torch.strided or not value.numel():
            return None
        return value.numel() - int(value.count_nonzero()), value.numel()
