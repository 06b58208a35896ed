"""What neither of torch's modes can see: arrays, pickles, inference mode, custom Functions, scripted code, transforms, threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import FunctionCtx

from gradflow.capture.flow.frames import user_frame, user_place
from gradflow.capture.flow.opaque_calls import opaque, record_call, scripted_reason
from gradflow.capture.flow.patches import RECORDERS, Patches
from gradflow.capture.flow.recorder import Recorder
from gradflow.capture.flow.trace import INERT, Region
from gradflow.capture.flow.values import Trace
from gradflow.graph.flow import CutReason, NodeKind


def observe_blind_spots(patches: Patches, trace: Trace) -> None:
    """Calls that no event tells: arrays coming in, inference mode, custom Functions, scripted functions, `Variable(t)`, threads."""
    _observe_arrays(patches, trace)
    _observe_pickling(patches, trace)
    _observe_inference_mode(patches)
    _observe_functions(patches)
    _observe_variable(patches, trace)
    _observe_scripted(patches)
    _observe_transforms(patches, trace)
    _observe_threads(patches, trace)


def _observe_arrays(patches: Patches, trace: Trace) -> None:
    original = torch.from_numpy

    def entered(array: Any) -> torch.Tensor:
        out = original(array)
        recorder = RECORDERS.current
        if recorder is not None and not recorder.paused and trace.leaky_files:
            found = user_frame(sys._getframe(1))
            source = recorder.array(array)
            hosts = () if found is None else tuple(trace.leaky_code.get(found.f_code, {}).values())
            if source is not None or hosts:
                with torch._C.DisableTorchFunction():
                    step = recorder.cut("from_numpy", [] if source is None else [source], out, CutReason.NUMPY, found)
                    step.marks = bytes([INERT]) * len(step.sources)
                    step.hosts = hosts
        return out

    patches.put(torch, "from_numpy", entered)


def _observe_pickling(patches: Patches, trace: Trace) -> None:
    """A tensor on its way into a pickle; the plain one has a path of its own, which no event tells. A saved parameter is no leak."""
    original: Any = torch.Tensor._reduce_ex_internal

    def reduced(self: torch.Tensor, proto: Any) -> Any:
        recorder = RECORDERS.current
        if recorder is not None and not recorder.paused:
            with torch._C.DisableTorchFunction():
                step = trace.find(self)
                if step is not None and step.kind is not NodeKind.PARAMETER:
                    recorder.cut("pickle", [step], None, CutReason.HOST_SCALAR, sys._getframe(1), host=True)
        return original(self, proto)

    if hasattr(torch.Tensor, "_reduce_ex_internal"):
        patches.put(torch.Tensor, "_reduce_ex_internal", reduced)


def _observe_inference_mode(patches: Patches) -> None:
    enter, leave = torch.inference_mode.__enter__, torch.inference_mode.__exit__

    def entered(self: Any) -> Any:
        out = enter(self)
        if RECORDERS.current is not None and self.mode:
            RECORDERS.current.regions.enter_inference(self, sys._getframe(1))
        return out

    def left(self: Any, *error: Any) -> Any:
        if RECORDERS.current is not None and self.mode:
            RECORDERS.current.regions.leave(self)
        return leave(self, *error)

    patches.put(torch.inference_mode, "__enter__", entered)
    patches.put(torch.inference_mode, "__exit__", left)


def _observe_functions(patches: Patches) -> None:
    original = _unbound(torch.autograd.Function, "apply")

    def applied(cls: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = RECORDERS.current
        if recorder is None or recorder.paused:
            return original(cls, *args, **kwargs)
        checkpoint = cls.__name__ == "CheckpointFunction"
        reason = CutReason.REENTRANT_CHECKPOINT if checkpoint else CutReason.CUSTOM_FUNCTION
        label = "checkpoint(use_reentrant=True)" if checkpoint else f"{cls.__name__}.apply"
        place = user_place(sys._getframe(1))
        recorder.marked.clear()
        recorder.regions.forced.append(Region(reason, label, place, module=recorder.running[-1] if recorder.running else 0))
        first = torch._C._autograd._get_sequence_nr()
        try:
            out = original(cls, *args, **kwargs)
        finally:
            recorder.regions.forced.pop()
        with torch._C.DisableTorchFunction():
            record_call(recorder, cls.__name__, place, (args, kwargs), [], out, first, reason)
        return out

    mark = FunctionCtx.mark_non_differentiable

    def marked(self: Any, *args: Any) -> None:
        mark(self, *args)
        if RECORDERS.current is not None:
            RECORDERS.current.marked.update(id(value) for value in args)

    patches.put(torch.autograd.Function, "apply", classmethod(applied))
    patches.put(FunctionCtx, "mark_non_differentiable", marked)


def _unbound(owner: type, name: str) -> Callable[..., Any]:
    """A class method as a function of the class: a Python one, or (torch 2.14) one written in C."""
    found = next(vars(base)[name] for base in owner.__mro__ if name in vars(base))
    own: Callable[..., Any] | None = getattr(found, "__func__", None)
    if own is not None:
        return own

    def call(cls: type, *args: Any, **kwargs: Any) -> Any:
        original = found.__get__(None, cls)
        return original(*args, **kwargs)

    return call


def _observe_variable(patches: Patches, trace: Trace) -> None:
    meta = type(torch.autograd.Variable)

    def made(cls: Any, *args: Any, **kwargs: Any) -> Any:
        out = type.__call__(cls, *args, **kwargs)
        recorder = RECORDERS.current
        if recorder is not None and not recorder.paused and args and isinstance(args[0], torch.Tensor):
            with torch._C.DisableTorchFunction():
                source = trace.find(args[0])
                if source is not None and out is not args[0]:
                    recorder.cut("Variable", [source], out, CutReason.TENSOR_COPY, sys._getframe(1))
        return out

    patches.put(meta, "__call__", made)


def _observe_scripted(patches: Patches) -> None:
    """A scripted function runs outside Python: one operation, whose graph tells whether it detaches."""
    original = torch.jit.ScriptFunction.__call__

    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        name = getattr(self, "name", "scripted function")
        return opaque(name, lambda: original(self, *args, **kwargs), (args, kwargs), [], scripted_reason(self))

    patches.put(torch.jit.ScriptFunction, "__call__", called)


def _observe_transforms(patches: Patches, trace: Trace) -> None:
    """`vmap` and `torch.func` wrap tensors going in and unwrap them coming out: the same value under another identity."""
    import torch._functorch.eager_transforms as transforms
    import torch._functorch.vmap as vmap

    for module, name in (
        (vmap, "_add_batch_dim"),
        (vmap, "_remove_batch_dim"),
        (transforms, "_wrap_for_grad"),
        (transforms, "_unwrap_for_grad"),
    ):
        original = getattr(module, name, None)
        if original is None:
            continue

        def passed(value: Any, *rest: Any, original: Any = original, **kwargs: Any) -> Any:
            out = original(value, *rest, **kwargs)
            recorder = RECORDERS.current
            if recorder is None or recorder.paused or not isinstance(value, torch.Tensor) or not isinstance(out, torch.Tensor):
                return out
            with torch._C.DisableTorchFunction():
                step = trace.find(value)
                if step is not None and out is not value:
                    trace.file(out, step)
            return out

        patches.put(module, name, passed)


def _observe_threads(patches: Patches, trace: Trace) -> None:
    original = threading.Thread.run

    def ran(self: threading.Thread) -> None:
        with Recorder(trace) as recorder:
            RECORDERS.current = recorder
            original(self)

    patches.put(threading.Thread, "run", ran)
