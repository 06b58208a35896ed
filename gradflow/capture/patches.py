"""The callables that torch's modes cannot see, replaced while a session runs and put back afterwards, in reverse order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import FunctionCtx
from torch.nn.modules.module import register_module_module_registration_hook

from gradflow.capture.autograd_walk import border
from gradflow.capture.frames import RUNNING, user_frame
from gradflow.capture.recorder import Recorder
from gradflow.capture.registry import Registry
from gradflow.capture.trace import CUT, INERT, LIVE, REGION, Place, Region, Step
from gradflow.capture.values import Trace
from gradflow.graph.flow import CutReason, NodeKind

_OPAQUE = (torch.nn.TransformerEncoder, torch.nn.TransformerEncoderLayer, torch.nn.MultiheadAttention)
"""In eval mode these take a fast path unless something overrides torch functions, as our mode does: the numbers would change."""


class Patches:
    """Attributes that were replaced. `restore()` puts them back in reverse order."""

    def __init__(self) -> None:
        self._saved: list[tuple[Any, str, Any, bool]] = []
        self._handles: list[Any] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Sets `owner.name = value`, remembering what was there."""
        own = vars(owner)
        self._saved.append((owner, name, own.get(name), name in own))
        setattr(owner, name, value)

    def handle(self, handle: Any) -> None:
        """Keeps the handle of a hook, which goes with the rest."""
        self._handles.append(handle)

    def restore(self) -> None:
        """Puts everything back."""
        while self._handles:
            self._handles.pop().remove()
        while self._saved:
            owner, name, value, had = self._saved.pop()
            if had:
                setattr(owner, name, value)
            else:
                delattr(owner, name)


def _user_place(frame: Any) -> Place | None:
    found = user_frame(frame)
    return None if found is None else Place(found.f_code, found.f_lasti)


class Recorders(threading.local):
    """The recorder of the running thread, None where nothing is recorded."""

    current: Recorder | None = None


RECORDERS = Recorders()


def observe_modules(patches: Patches, registry: Registry, trace: Trace) -> None:
    """Registers every module built, and keeps the stack of modules whose forward runs."""
    init, setstate, forward = torch.nn.Module.__init__, torch.nn.Module.__setstate__, torch.nn.Module.__call__
    register = torch.nn.Module.register_parameter
    running = RUNNING

    def built(self: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        registry.add(self, sys._getframe(1))

    def restored(self: torch.nn.Module, state: Any) -> None:
        setstate(self, state)
        registry.add(self, sys._getframe(1))

    def called(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        serials = running.serials
        serials.append(registry.serial(self))
        try:
            if isinstance(self, torch.jit.ScriptModule):
                reason = _scripted_reason(self)
                return opaque(type(self).__name__, lambda: forward(self, *args, **kwargs), (args, kwargs), list(self.parameters()), reason)
            if not self.training and isinstance(self, _OPAQUE):
                return opaque(type(self).__name__, lambda: forward(self, *args, **kwargs), (args, kwargs), list(self.parameters()))
            out = forward(self, *args, **kwargs)
            if len(serials) == 1 and registry.keep_calls and torch.is_grad_enabled():
                registry.last_call = (self, out)
            return out
        finally:
            serials.pop()

    def registered(self: torch.nn.Module, name: str, param: torch.nn.Parameter | None) -> None:
        old = self.__dict__.get("_parameters", {}).get(name)
        register(self, name, param)
        if old is not None and param is not None and old is not param:
            registry.replacements.note(trace, _user_place(sys._getframe(1)), old, param)
        leaf = None if param is None else trace.leaf(param)
        if leaf is not None:
            leaf.owner = (registry.add(self, None), name)

    def replaced(module: torch.nn.Module, name: str, submodule: torch.nn.Module | None) -> None:
        old = module._modules.get(name)
        if old is not None and submodule is not None and old is not submodule:
            registry.replacements.note(trace, _user_place(sys._getframe(1)), old, submodule)

    patches.handle(register_module_module_registration_hook(replaced))
    patches.put(torch.nn.Module, "__init__", built)
    patches.put(torch.nn.Module, "__setstate__", restored)
    patches.put(torch.nn.Module, "__call__", called)
    patches.put(torch.nn.Module, "register_parameter", registered)


def observe_parameters(patches: Patches, trace: Trace) -> None:
    """`nn.Parameter(t)` is a new leaf, filled with the value of `t`."""
    original = torch.nn.Parameter.__new__

    def made(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
        parameter = original(cls, data, requires_grad)
        recorder = RECORDERS.current
        if recorder is None or recorder.paused:
            return parameter
        with torch._C.DisableTorchFunction():
            found = user_frame(sys._getframe(1))
            place = None if found is None else Place(found.f_code, found.f_lasti)
            source = trace.find(data) if isinstance(data, torch.Tensor) and data is not parameter else None
            made_in = recorder.running[-1] if recorder.running else 0
            if source is None:
                trace.add_leaf(parameter, place, made_in)
            else:
                wrap = recorder.cut("Parameter", [source], None, CutReason.PARAMETER_REWRAP, sys._getframe(1))
                trace.add_leaf(parameter, place, made_in, (wrap,), bytes([INERT]))
        return parameter

    patches.put(torch.nn.Parameter, "__new__", staticmethod(made))


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
        found = user_frame(sys._getframe(1))
        place = None if found is None else Place(found.f_code, found.f_lasti)
        recorder.marked.clear()
        recorder.regions.forced.append(Region(reason, label, place, module=recorder.running[-1] if recorder.running else 0))
        first = torch._C._autograd._get_sequence_nr()
        try:
            out = original(cls, *args, **kwargs)
        finally:
            recorder.regions.forced.pop()
        with torch._C.DisableTorchFunction():
            _record_call(recorder, cls.__name__, place, (args, kwargs), [], out, first, reason)
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
        return opaque(name, lambda: original(self, *args, **kwargs), (args, kwargs), [], _scripted_reason(self))

    patches.put(torch.jit.ScriptFunction, "__call__", called)


def _scripted_reason(scripted: Any) -> CutReason:
    return CutReason.DETACH if "aten::detach" in str(scripted.inlined_graph) else CutReason.NO_DERIVATIVE


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


def opaque(
    name: str,
    original: Callable[[], Any],
    given: Any,
    parameters: list[torch.nn.Parameter],
    reason: CutReason = CutReason.NO_DERIVATIVE,
) -> Any:
    """Runs `original` outside the mode and records it as one operation on the tensors in `given` and on `parameters`."""
    recorder = RECORDERS.current
    if recorder is None or recorder.paused:
        return original()
    found = user_frame(sys._getframe(1))
    place = None if found is None else Place(found.f_code, found.f_lasti)
    first = torch._C._autograd._get_sequence_nr()
    with torch._C.DisableTorchFunction():
        out = original()
        _record_call(recorder, name, place, given, parameters, out, first, reason)
    return out


def _record_call(
    recorder: Recorder, name: str, place: Place | None, given: Any, more: list[Any], out: Any, first: int, reason: CutReason
) -> None:
    """One step for a call whose inside is not one event: inputs connected by autograd's nodes, and by what was traced inside of it."""
    inputs: list[tuple[Any, Step]] = []
    recorder._gather((*given, *more), inputs)
    trace = recorder.trace
    outputs = _output_tensors(out)
    for group in ([v for v in outputs if v.requires_grad], [v for v in outputs if not v.requires_grad]):
        if not group:
            continue
        sources, marks = [step for _, step in inputs], bytearray()
        nodes, leaves = border(group, first) if group[0].requires_grad else (set(), set())
        for value, _ in inputs:
            if not value.requires_grad:
                marks.append(CUT if id(group[0]) in recorder.marked else INERT)
            else:
                marks.append(LIVE if id(value) in leaves or value.grad_fn in nodes else CUT)
        known = [ref.step for value in group if (ref := trace.values.get(id(value))) is not None and ref() is value]
        for inner in known:
            if inner not in sources:
                sources.append(inner)
                marks.append(INERT)
        if not sources:
            continue
        step = Step(next(trace.counter), name, place, tuple(sources), bytes(marks), reason=reason, pass_number=trace.pass_number)
        step.module = recorder.running[-1] if recorder.running else 0
        if not torch.is_grad_enabled() and not recorder.regions.forced:
            step.region = recorder.regions.now(place)
            step.marks = bytes([CUT if id(group[0]) in recorder.marked else REGION]) * len(sources)
        elif group[0].requires_grad:
            step.first, step.last = first, torch._C._autograd._get_sequence_nr()
        for value in group:
            trace.file(value, step)


def _output_tensors(out: Any) -> list[torch.Tensor]:
    if isinstance(out, torch.Tensor):
        return [out]
    if isinstance(out, (list, tuple)):
        return [tensor for value in out for tensor in _output_tensors(value)]
    if isinstance(out, dict):
        return [tensor for value in out.values() for tensor in _output_tensors(value)]
    return []
