"""In-place writes: who has a new value after one, and whether a gradient still comes back to what was there before.

A write reaches every tensor that shares the memory: the base of a view, which autograd knows of, and the source of a `.data` or a
`.detach()`, of which it knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gradflow.capture.flow.calls import CallKind
from gradflow.capture.flow.trace import CUT, INERT, LIVE, Place, Step
from gradflow.capture.flow.values import Leaf, Trace
from gradflow.capture.training.autograd_walk import border
from gradflow.graph.flow import CutReason, NodeKind

Owner = tuple[torch.Tensor, "CutReason | None"]
"""A tensor that has a new value, with a reason where autograd does not know that it shares the memory written to."""


def owners_of(trace: Trace, tensor: torch.Tensor) -> list[Owner]:
    """`tensor`, and every tensor that was seen to share its memory."""
    found: list[Owner] = []
    stack: list[Owner] = [(tensor, None)]
    while stack:
        value, shared = stack.pop()
        if any(value is other for other, _ in found):
            continue
        found.append((value, shared))
        source, reason = trace.alias_of(value)
        if source is not None:
            stack.append((source, reason))
        if value._is_view() and value._base is not None:
            stack.append((value._base, shared))
    return found


def leaf_among(trace: Trace, owners: list[Owner]) -> Leaf | None:
    """The trainable leaf among the owners of written memory, if there is one."""
    return next((leaf for owner, _ in owners if (leaf := trace.leaf(owner)) is not None), None)


def mark_write(step: Step, kind: CallKind, inputs: list[tuple[Any, Step]], target: Any, first: int, before: Any, overwrites: bool) -> None:
    """Sets the marks of a write with gradients on. `before`, `first`: `target.grad_fn` and the sequence number before the call."""
    step.marks = _marks(inputs, target, first, before)
    if kind.overwrites or overwrites:
        step.reason = CutReason.OVERWRITE
        step.marks = bytes(CUT if value is target and mark is INERT else mark for (value, _), mark in zip(inputs, step.marks, strict=True))


def _marks(inputs: list[tuple[Any, Step]], target: Any, first: int, before: Any) -> bytes:
    if not target.requires_grad:
        return bytes(CUT if value is not None and value.requires_grad else INERT for value, _ in inputs)
    nodes, leaves = border([target], first)
    marks = bytearray()
    for value, _ in inputs:
        if value is target:
            marks.append(INERT if before is None else LIVE if before in nodes else CUT)
        elif value is None or not value.requires_grad:
            marks.append(INERT)
        else:
            marks.append(LIVE if id(value) in leaves or value.grad_fn in nodes else CUT)
    return bytes(marks)


def beside(trace: Trace, written: Step, inputs: list[tuple[Any, Step]], target: Any) -> Step:
    """The value of a tensor written under no_grad. Autograd does not see that write: what came before stays differentiable."""
    old = next((source for value, source in inputs if value is target), None)
    return written if old is None else _joined(trace, written, old, INERT, LIVE, CutReason.DATA)


def note_written(trace: Trace, leaf: Leaf, place: Place | None) -> None:
    """Says that the program wrote the value of `leaf`, unless an optimizer is stepping."""
    if not trace.stepping:
        leaf.written, leaf.written_at = True, place


def note_gradient_write(trace: Trace, name: str, target: Any, place: Callable[[], Place | None]) -> None:
    """Files an in-place write to what is known to be the memory of some leaf's `.grad`. `target`: a tensor, or a list of them."""
    for tensor in target if isinstance(target, (list, tuple)) else (target,):
        if isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided:
            leaf = trace.gradients.get(tensor.data_ptr())
            if leaf is not None:
                trace.gradient_writes[leaf] = (place(), name)


def rewrite(trace: Trace, owner: torch.Tensor, step: Step, reason: CutReason | None) -> None:
    """Says that `owner` has a new value from `step`; with a `reason` where autograd does not know that the two share memory."""
    leaf = trace.leaf(owner)
    if leaf is not None:
        note_written(trace, leaf, step.place)
        mark = INERT if (step.region is not None and reason is None) or step.name == "data =" else CUT
        leaf.step = Step(
            next(trace.counter), "parameter", step.place, (step,), bytes([mark]), kind=NodeKind.PARAMETER, leaf=leaf.serial,
            pass_number=trace.pass_number, reason=CutReason.DATA,
        )  # fmt: skip
        trace.file(owner, leaf.step)
        return
    ref = trace.values.get(id(owner))
    old = ref.step if ref is not None and ref() is owner else None
    if reason is not None:
        step = _joined(trace, step, old, CUT, LIVE if owner.requires_grad else INERT, reason)
    trace.file(owner, step)


def _joined(trace: Trace, written: Step, old: Step | None, written_mark: int, old_mark: int, reason: CutReason) -> Step:
    """The value of a tensor of which a part, or an alias, was written: the old value and what was written into it."""
    sources = (written,) if old is None else (written, old)
    marks = bytes([written_mark] if old is None else [written_mark, old_mark])
    return Step(
        next(trace.counter), written.name, written.place, sources, marks, reason=reason, module=written.module,
        pass_number=trace.pass_number,
    )  # fmt: skip
