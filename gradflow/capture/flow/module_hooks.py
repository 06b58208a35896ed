"""Watches modules and parameters come into being, take each other's place, change their type and run."""

from __future__ import annotations

import os
import sys
from typing import Any

import torch
from torch.nn.modules.module import register_module_module_registration_hook

from gradflow.capture.flow.compiled_calls import compiled_name
from gradflow.capture.flow.frames import RUNNING, user_place
from gradflow.capture.flow.opaque_calls import SCRIPTED, opaque, scripted_reason
from gradflow.capture.flow.patches import RECORDERS, Patches
from gradflow.capture.flow.trace import INERT
from gradflow.capture.flow.values import Trace
from gradflow.capture.training.registry import Registry
from gradflow.graph.flow import CutReason

_OPAQUE = (torch.nn.TransformerEncoder, torch.nn.TransformerEncoderLayer, torch.nn.MultiheadAttention)
"""In eval mode these take a fast path unless something overrides torch functions, as our mode does: the numbers would change."""

_HALVES = (torch.float16, torch.bfloat16)


def _is_compiled(module: torch.nn.Module) -> bool:
    """Whether a call of the module runs what `torch.compile` made of it. Dynamo would try to compile our mode too, and fail."""
    return module._compiled_call_impl is not None or type(module).__name__ == "OptimizedModule"


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

    compiles = os.environ.get("TORCHDYNAMO_DISABLE", "0") in ("", "0")

    def called(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if compiles and torch.compiler.is_compiling():
            return forward(self, *args, **kwargs)  # read by Dynamo, which must not meet our hooks: this call is inside an opaque one
        serials = running.serials
        serials.append(registry.serial(self))
        try:
            if isinstance(self, SCRIPTED):
                reason = scripted_reason(self)
                return opaque(type(self).__name__, lambda: forward(self, *args, **kwargs), (args, kwargs), list(self.parameters()), reason)
            if compiles and _is_compiled(self):
                return opaque(compiled_name(self), lambda: forward(self, *args, **kwargs), (args, kwargs), list(self.parameters()))
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
            registry.replacements.note(trace, user_place(sys._getframe(1)), old, param)
        leaf = None if param is None else trace.leaf(param)
        if leaf is not None:
            leaf.owner = (registry.add(self, None), name)

    convert = torch.nn.Module._apply

    def converted(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        original = convert
        before = {name: parameter.dtype for name, parameter in self.named_parameters()}
        out = original(self, *args, **kwargs)
        for name, parameter in self.named_parameters():
            leaf = trace.leaf(parameter)
            if leaf is not None and leaf.cast is None and parameter.dtype in _HALVES and before.get(name) not in _HALVES:
                leaf.cast = user_place(sys._getframe(1))
        return out

    patches.put(torch.nn.Module, "_apply", converted)

    def replaced(module: torch.nn.Module, name: str, submodule: torch.nn.Module | None) -> None:
        old = module._modules.get(name)
        if old is not None and submodule is not None and old is not submodule:
            registry.replacements.note(trace, user_place(sys._getframe(1)), old, submodule)

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
        caller = sys._getframe(1)
        if caller.f_code.co_name == "init_unsharded_param":  # FSDP2's FSDPParam; its gradient goes to the shard, which optimizers hold
            with torch._C.DisableTorchFunction():
                trace.gather(parameter, caller.f_locals["self"].sharded_param)
            return parameter
        recorder = RECORDERS.current
        if recorder is None or recorder.paused:
            return parameter
        with torch._C.DisableTorchFunction():
            place = user_place(sys._getframe(1))
            source = trace.find(data) if isinstance(data, torch.Tensor) and data is not parameter else None
            made_in = recorder.running[-1] if recorder.running else 0
            if source is None:
                trace.add_leaf(parameter, place, made_in)
            else:
                wrap = recorder.cut("Parameter", [source], None, CutReason.PARAMETER_REWRAP, sys._getframe(1))
                trace.add_leaf(parameter, place, made_in, (wrap,), bytes([INERT]))
        return parameter

    patches.put(torch.nn.Parameter, "__new__", staticmethod(made))
