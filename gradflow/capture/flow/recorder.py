"""Records how values flow, one step per torch call that the user's code makes, and leaves every value as it is.

`Recorder` is the `TorchFunctionMode` of one thread; the `Trace` that it fills is shared by all. The mode sees calls as the user wrote
them, `.detach()` and `.item()` included, which autograd's own graph forgets. Whether an input is connected with an output is never
guessed: autograd's nodes that were born inside the call are walked.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from gradflow.capture.flow.calls import (
    COPIERS,
    HOST_CALLS,
    SCALARS,
    TENSOR_MAKERS,
    CallKind,
    alike,
    computed,
    cut_reason,
    gives_zeros,
    silent_calls,
    tensors_in,
)
from gradflow.capture.flow.frames import RUNNING, user_frame, user_place
from gradflow.capture.flow.grad_regions import GradRegions
from gradflow.capture.flow.trace import CUT, INERT, LIVE, REGION, ROUND_TRIPS, Place, Step
from gradflow.capture.flow.values import GradientHook, Trace
from gradflow.capture.flow.writes import beside, leaf_among, mark_write, note_gradient_write, note_written, owners_of, rewrite
from gradflow.capture.training.autograd_walk import border
from gradflow.graph.flow import CutReason, NodeKind

_Tensor = torch.Tensor
_sequence = torch._C._autograd._get_sequence_nr
_grad_enabled = torch.is_grad_enabled
_DATA: Any = _Tensor.data
_GRAD: Any = _Tensor.grad
_REQUIRES_GRAD: Any = _Tensor.requires_grad


class Recorder(TorchFunctionMode):
    """The recording mode of one thread. `paused` lets every call through unseen."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace
        self.paused = 0
        self.marked: set[int] = set()
        self.regions = GradRegions()
        self.running = RUNNING.serials
        self._kinds: dict[Any, CallKind] = {}
        self._special: dict[Any, Callable[..., Any]] = {
            _DATA.__get__: self._read_data,
            _DATA.__set__: self._assign_data,
            _Tensor.detach: self._detach,
            _Tensor.detach_: self._detach,
            torch.detach: self._detach,
            torch.detach_: self._detach,
            torch._C._set_grad_enabled: self._switch_grad,
            _REQUIRES_GRAD.__set__: self._freeze,
            _Tensor.requires_grad_: self._freeze,
            _GRAD.__get__: self._use_grad,
            _GRAD.__set__: self._use_grad,
            _Tensor.register_hook: self._hook,
            _Tensor.register_post_accumulate_grad_hook: self._hook,
        }
        self._silent = silent_calls() - self._special.keys()
        for name, label in HOST_CALLS.items():
            method = getattr(_Tensor, name, None)
            if method is not None:
                self._special[method] = _Leaver(self, label)

    def listen(self, func: Any, told: Callable[[Any, Any], None]) -> None:
        """Calls `told(first argument, output)` after each call of `func`, which is recorded as ever."""
        self._special.setdefault(func, _Listened(self, told))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.paused or func in self._silent:
            return func(*args, **kwargs) if kwargs else func(*args)
        special = self._special.get(func)
        if special is not None:
            return special(func, args, kwargs or {})
        kind = self._kinds.get(func)
        if kind is None:
            kind = self._kinds[func] = CallKind(func)
        find = self.trace.find
        inputs: list[tuple[Any, Step]] = []
        scalars = strangers = False
        for value in args[1:] if kind.shape_only else args:
            if isinstance(value, _Tensor):
                step = find(value)
                if step is not None:
                    inputs.append((value, step))
                else:
                    strangers = True
            elif type(value) in SCALARS:
                scalars = True
            elif isinstance(value, (list, tuple)):
                scalars |= self._gather(value, inputs)
        if kwargs:
            scalars |= self._gather(kwargs.values(), inputs)
        if kind.in_place and self.trace.gradients and args:
            note_gradient_write(self.trace, kind.name, args[0], lambda: user_place(sys._getframe(3)))
        leaky = self.trace.leaky_files
        if not inputs and not leaky:
            return func(*args, **kwargs) if kwargs else func(*args)
        before = inputs[0][0].grad_fn if inputs and kind.in_place and inputs[0][0].requires_grad else None
        first = _sequence()
        out = func(*args, **kwargs) if kwargs else func(*args)
        self._record(kind, args, kwargs, inputs, (scalars, strangers), out, first, before)
        return out

    def _gather(self, values: Iterable[Any], inputs: list[tuple[Any, Step]]) -> bool:
        """Adds the known tensors among `values`, nested lists and dicts included; True if there is a Python number among them."""
        scalars = False
        for value in values:
            if isinstance(value, _Tensor):
                step = self.trace.find(value)
                if step is not None:
                    inputs.append((value, step))
            elif type(value) in SCALARS:
                scalars = True
            elif isinstance(value, (list, tuple)):
                scalars |= self._gather(value, inputs)
            elif isinstance(value, dict):
                scalars |= self._gather(value.values(), inputs)
            elif type(value).__name__ == "ndarray":
                scalars = True
        return scalars

    def _record(
        self, kind: CallKind, args: Any, kwargs: Any, inputs: list[tuple[Any, Step]], foreign: tuple[bool, bool], out: Any, first: int,
        before: Any,
    ) -> None:  # fmt: skip
        """Files a step for what a call gave. `foreign`: numbers, and tensors that nothing known made, are among what it took."""
        trace = self.trace
        frame = user_frame(sys._getframe(2))
        place = None if frame is None else Place(frame.f_code, frame.f_lasti)
        hosts: tuple[Step, ...] = ()
        takes_number = False
        scalars, strangers = foreign
        if trace.leaky_files and frame is not None and (scalars or strangers or kind.makes):
            values = (*args, *(kwargs or {}).values())
            known = [step for step in self._numbers(values) if step.hosted < ROUND_TRIPS] if scalars or kind.makes else []
            inputs += [(None, step) for step in known]
            takes_number = kind.makes or computed(values, (*frame.f_code.co_consts, *kind.defaults))
            if not known and frame.f_code in trace.leaky_code and (strangers or takes_number):
                hosts = tuple(step for step in trace.leaky_code[frame.f_code].values() if step.hosted < ROUND_TRIPS)
        if not inputs and not hosts:
            return
        if kind.in_place:
            target = args[0] if args else (kwargs or {}).get("tensor", out)
            self._write(kind, target, inputs, hosts, place, first, before)
            return
        outputs = tensors_in(out)
        if not outputs:
            return
        given = {id(value) for value, _ in inputs}
        for group in alike(outputs):
            fresh = [value for value in group if id(value) not in given] if group else group
            if fresh:
                step = self.step(kind.name, place, inputs, fresh, first, atomic=kind.atomic)
                _host(step, hosts)
                step.takes_number = takes_number
                for value in fresh:
                    trace.file(value, step)
            elif group and kwargs and kwargs.get("out") is not None:
                self._write(kind, group[0], inputs, hosts, place, first, None, overwrites=True)

    def step(
        self, name: str, place: Place | None, inputs: list[tuple[Any, Step]], outputs: list[Any], first: int, *, atomic: bool = False
    ) -> Step:
        """The step of one call, with a mark for each input by what autograd did between it and the outputs."""
        trace = self.trace
        sources = tuple([entry[1] for entry in inputs])
        step = Step(next(trace.counter), name, place, sources, pass_number=trace.pass_number)
        if trace.leaky_files and sources:
            step.hosted = max([source.hosted for source in sources])
        if self.running:
            step.module = self.running[-1]
        if not _grad_enabled():
            step.region = self.regions.now(place)
            step.marks = self._mute_marks(name, inputs, outputs[0], REGION)
            step.reason = cut_reason(name)
            return step
        head = outputs[0]
        if head.requires_grad and not (name in TENSOR_MAKERS and head.is_leaf):
            step.first, step.last = first, _sequence()
            step.marks = self._live_marks(inputs, outputs, first, atomic)
        else:
            step.marks = self._mute_marks(name, inputs, head, INERT)
        step.reason = cut_reason(name)
        return step

    def _mute_marks(self, name: str, inputs: list[tuple[Any, Step]], head: Any, harmless: int) -> bytes:
        """Marks where the output needs no gradient and autograd is mute: by the types of numbers, and by what the call is known for."""
        if not (head.is_floating_point() or head.is_complex()):
            return bytes(
                CUT if value is not None and (value.is_floating_point() or value.is_complex()) else harmless for value, _ in inputs
            )
        copies = name in COPIERS
        switched_off = harmless == REGION
        return bytes(
            CUT if value is not None and (copies or (value.requires_grad and not switched_off)) else harmless for value, _ in inputs
        )

    def _live_marks(self, inputs: list[tuple[Any, Step]], outputs: list[Any], first: int, atomic: bool) -> bytes:
        needing = [value is not None and value.requires_grad for value, _ in inputs]
        if atomic or sum(needing) == 1:
            return bytes(LIVE if needed else INERT for needed in needing)
        nodes, leaves = border(outputs, first)
        marks = bytearray()
        for needed, (value, _) in zip(needing, inputs, strict=True):
            if not needed:
                marks.append(INERT)
            else:
                marks.append(LIVE if id(value) in leaves or value.grad_fn in nodes else CUT)
        return bytes(marks)

    def _write(
        self, kind: CallKind, target: Any, inputs: list[tuple[Any, Step]], hosts: tuple[Step, ...], place: Place | None, first: int,
        before: Any, *, overwrites: bool = False,
    ) -> None:  # fmt: skip
        """An in-place call: the value of `target`, and of all that share its memory, is a new one from here on."""
        if not isinstance(target, _Tensor):
            return
        trace = self.trace
        owners = owners_of(trace, target)
        leaf = leaf_among(trace, owners)
        if leaf is not None and not hosts and all(value is target for value, _ in inputs):
            # Filling a parameter with numbers (initialisation, clamping) takes no other value in; it stays the leaf that it is.
            note_written(trace, leaf, place)
            return
        step = self.step(kind.name, place, inputs, [target], first)
        _host(step, hosts)
        if step.region is None:
            mark_write(step, kind, inputs, target, first, before, overwrites)
        elif target.requires_grad and not target.is_leaf:
            step = beside(trace, step, inputs, target)
        trace.writes += 1
        for owner, reason in owners:
            rewrite(trace, owner, step, reason)

    def _numbers(self, values: Iterable[Any], depth: int = 0) -> list[Step]:
        found: dict[int, Step] = {}
        for value in values:
            if isinstance(value, float):
                step = self.trace.number(value)
                if step is not None:
                    found[step.serial] = step
            elif isinstance(value, (list, tuple)) and depth < 3:
                for step in self._numbers(itertools.islice(value, 10_000), depth + 1):
                    found[step.serial] = step
            elif type(value).__name__ == "ndarray":
                step = self.array(value)
                if step is not None:
                    found[step.serial] = step
        return list(found.values())

    def array(self, value: Any) -> Step | None:
        """The step whose value lies in the memory of this array."""
        while value is not None:
            step = self.trace.arrays.get(id(value))
            if step is not None:
                return step
            value = getattr(value, "base", None)
        return None

    def _read_data(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = func(*args)
        self._copy_without_gradient("data", args[0], out, CutReason.DATA)
        return out

    def _detach(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = func(*args, **kwargs)
        source = args[0] if args else kwargs["input"]
        self._copy_without_gradient(func.__name__, source, out, CutReason.DETACH)
        return out

    def _copy_without_gradient(self, name: str, source: torch.Tensor, out: torch.Tensor, reason: CutReason) -> None:
        step = self.trace.find(source)
        if out is not source:
            self.trace.add_alias(out, source, CutReason.DATA if reason is CutReason.DATA else CutReason.OVERWRITE)
        if step is not None:
            self.cut(name, [step], out, reason, sys._getframe(3))

    def cut(self, name: str, sources: list[Step], out: torch.Tensor | None, reason: CutReason, frame: Any, *, host: bool = False) -> Step:
        """A step that stops every gradient, whatever its inputs carry."""
        trace = self.trace
        found = user_frame(frame)
        place = None if found is None else Place(found.f_code, found.f_lasti)
        step = Step(
            next(trace.counter), name, place, tuple(sources), bytes([CUT]) * len(sources), reason=reason, pass_number=trace.pass_number,
            kind=NodeKind.HOST if host else NodeKind.OPERATION, module=self.running[-1] if self.running else 0,
        )  # fmt: skip
        step.hosted = max([source.hosted for source in sources], default=0) + host
        if not _grad_enabled() and not host:
            step.region = self.regions.now(place)
        if out is not None:
            trace.file(out, step)
        if host and found is not None:
            trace.leaky_files.add(found.f_code.co_filename)
            trace.leaky_code.setdefault(found.f_code, {})[found.f_lasti] = step
        return step

    def _assign_data(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = func(*args)
        target, value = args
        step = self.trace.find(value)
        leaf = self.trace.leaf(target)
        if step is not None and not (leaf is not None and step is leaf.step):
            made = self.cut("data =", [step], None, CutReason.DATA, sys._getframe(2))
            self.trace.writes += 1
            rewrite(self.trace, target, made, None)
        elif leaf is not None:
            note_written(self.trace, leaf, user_place(sys._getframe(2)))
        return out

    def _freeze(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = func(*args, **kwargs)
        tensor = args[0]
        if isinstance(tensor, torch.nn.Parameter) and not tensor.requires_grad:
            leaf = self.trace.leaf(tensor) or self.trace.add_leaf(tensor, None, 0)
            leaf.frozen_at = user_place(sys._getframe(2))
        return out

    def _use_grad(self, func: Any, args: Any, kwargs: Any) -> Any:
        self.trace.note_grad_use(args[0], user_place(sys._getframe(2)) if len(args) > 1 else None)
        return func(*args)

    def _hook(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = func(*args, **kwargs)
        function = args[1] if len(args) > 1 else kwargs.get("hook")
        self.trace.note_hook(args[0], GradientHook(user_place(sys._getframe(2)), gives_zeros(function)))
        return out

    def _switch_grad(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = func(*args, **kwargs)
        self.regions.switch(bool(args[0]), sys._getframe(2))
        return out


class _Listened:
    def __init__(self, recorder: Recorder, told: Callable[[Any, Any], None]) -> None:
        self.recorder = recorder
        self.told = told

    def __call__(self, func: Any, args: Any, kwargs: Any) -> Any:
        special = self.recorder._special
        del special[func]
        try:
            out = self.recorder.__torch_function__(func, (), args, kwargs)
        finally:
            special[func] = self
        self.told(args[0] if args else kwargs.get("input"), out)
        return out


class _Leaver:
    """The handler of one method through which a value leaves torch."""

    def __init__(self, recorder: Recorder, label: str) -> None:
        self.recorder = recorder
        self.label = label

    def __call__(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = func(*args, **kwargs)
        recorder = self.recorder
        source = recorder.trace.find(args[0])
        if source is not None:
            reason = CutReason.NUMPY if self.label == "numpy()" else CutReason.HOST_SCALAR
            step = recorder.cut(self.label, [source], None, reason, sys._getframe(2), host=True)
            self._follow(out, step, 0)
        return out

    def _follow(self, out: Any, step: Step, depth: int) -> None:
        trace = self.recorder.trace
        if type(out) is float:
            trace.keep_number(out, step)
        elif type(out) is list and depth < 4:
            for value in itertools.islice(out, 1024):
                self._follow(value, step, depth + 1)
        elif type(out).__name__ == "ndarray":
            key = id(out)
            trace.arrays[key] = step
            weakref.finalize(out, trace.arrays.pop, key, None)


def _host(step: Step, hosts: tuple[Step, ...]) -> None:
    """Names the steps from which `step` may take a number."""
    if hosts:
        step.hosts = hosts
        step.hosted = max(step.hosted, *(host.hosted for host in hosts))
