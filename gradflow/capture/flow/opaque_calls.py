"""Calls whose inside is not one event of the mode: custom Functions, scripted code, torch's fast paths. Each becomes one step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

from gradflow.capture.flow.calls import tensors_in
from gradflow.capture.flow.frames import user_place
from gradflow.capture.flow.patches import RECORDERS
from gradflow.capture.flow.recorder import Recorder
from gradflow.capture.flow.trace import CUT, INERT, LIVE, REGION, Place, Step
from gradflow.capture.training.autograd_walk import border
from gradflow.graph.flow import CutReason

SCRIPTED: tuple[type, ...] = () if type(torch.jit.ScriptModule) is type else (torch.jit.ScriptModule,)
"""Modules in TorchScript, whose operations cannot be followed. With PYTORCH_JIT=0 in the environment these are plain ones."""


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
    place = user_place(sys._getframe(1))
    first = torch._C._autograd._get_sequence_nr()
    with torch._C.DisableTorchFunction():
        out = original()
        record_call(recorder, name, place, given, parameters, out, first, reason)
    return out


def record_call(
    recorder: Recorder, name: str, place: Place | None, given: Any, more: list[Any], out: Any, first: int, reason: CutReason
) -> None:
    """One step for a call whose inside is not one event: inputs connected by autograd's nodes, and by what was traced inside of it."""
    inputs: list[tuple[Any, Step]] = []
    recorder._gather((*given, *more), inputs)
    trace = recorder.trace
    outputs = tensors_in(out)
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


def scripted_reason(scripted: Any) -> CutReason:
    return CutReason.DETACH if "aten::detach" in str(scripted.inlined_graph) else CutReason.NO_DERIVATIVE
