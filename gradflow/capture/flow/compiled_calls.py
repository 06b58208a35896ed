"""Calls of what `torch.compile` made, in a process where it compiles: each runs outside the recording mode, which Dynamo would try to
compile, and is one operation.

What was compiled before the recorder came is a plain function that nobody can wrap any more. But at its beginning and at its end it calls
`_maybe_set_eval_frame`, which is replaced. Compiled modules are taken care of by `module_hooks`.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

import torch

from gradflow.capture.flow.frames import user_place
from gradflow.capture.flow.opaque_calls import record_call
from gradflow.capture.flow.patches import RECORDERS, Patches
from gradflow.graph.flow import CutReason

_EVAL_FRAME = "torch._dynamo.eval_frame"
_SWITCH = "_maybe_set_eval_frame"


class _Calls(threading.local):
    """Compiled calls that run in this thread: (frame of Dynamo's wrapper, what keeps the mode off, autograd's number at the beginning)."""

    def __init__(self) -> None:
        self.open: list[tuple[FrameType, Any, int]] = []


def observe_compiled(patches: Patches) -> None:
    """Puts the watch in place, now or when the program first calls `torch.compile`; nothing where compiling is switched off."""
    if os.environ.get("TORCHDYNAMO_DISABLE", "0") not in ("", "0"):
        return
    if _EVAL_FRAME in sys.modules:
        _watch_switch(patches, sys.modules[_EVAL_FRAME])
        return
    original: Callable[..., Any] = torch.compile

    @functools.wraps(original)
    def compiled(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        if _EVAL_FRAME in sys.modules and not watched:
            watched.append(True)
            _watch_switch(patches, sys.modules[_EVAL_FRAME])
        return made

    watched: list[bool] = []
    patches.put(torch, "compile", compiled)


def compiled_name(made: Any) -> str:
    """What a call of compiled code is called in the flow: by the function or the class behind it."""
    inner = getattr(made, "_orig_mod", made)
    return f"compiled {type(inner).__name__ if isinstance(inner, torch.nn.Module) else getattr(inner, '__name__', 'function')}"


def parameters_behind(function: Any) -> list[torch.nn.Parameter]:
    """The parameters of the modules, and those by themselves, that a function's code names: in its closure, its globals, as its `self`."""
    code = getattr(function, "__code__", None)
    if code is None:
        return []
    scope = getattr(function, "__globals__", {})
    values = [getattr(function, "__self__", None), *(scope.get(name) for name in code.co_names)]
    for cell in getattr(function, "__closure__", None) or ():
        if cell != _EMPTY:
            values.append(cell.cell_contents)
    found: dict[int, torch.nn.Parameter] = {}
    for value in values:
        held = value.parameters() if isinstance(value, torch.nn.Module) else [value]
        found.update({id(entry): entry for entry in held if isinstance(entry, torch.nn.Parameter)})
    return list(found.values())


_EMPTY = type((lambda value: lambda: value)(0).__closure__[0])()  # type: ignore[index]
"""A cell that was not filled yet; cells compare by what is in them."""


def _watch_switch(patches: Patches, module: ModuleType) -> None:
    original: Callable[[Any], Any] | None = getattr(module, _SWITCH, None)
    if original is None:
        return
    calls = _Calls()

    def switched(callback: Any) -> Any:
        frame = sys._getframe(1)
        if calls.open and calls.open[-1][0] is frame:
            _, guard, first = calls.open.pop()
            _record(frame, first)
            guard.__exit__(None, None, None)
        elif callback and frame.f_code.co_name == "compile_wrapper" and _records():
            guard = torch._C.DisableTorchFunction()
            guard.__enter__()
            calls.open.append((frame, guard, torch._C._autograd._get_sequence_nr()))
        return original(callback)

    patches.put(module, _SWITCH, switched)


def _records() -> bool:
    recorder = RECORDERS.current
    return recorder is not None and not recorder.paused and torch._C._is_torch_function_enabled()


def _record(frame: FrameType, first: int) -> None:
    """Files what the call gave as one operation; a call that raised gave nothing."""
    recorder, known = RECORDERS.current, frame.f_locals
    if recorder is None or "result" not in known:
        return
    function = known.get("fn")
    given = (known.get("args", ()), known.get("kwargs", {}))
    parameters = parameters_behind(function)
    record_call(recorder, compiled_name(function), user_place(frame), given, parameters, known["result"], first, CutReason.NO_DERIVATIVE)
