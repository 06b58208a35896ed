"""Watches backward passes at the one funnel that all of them go through, and notes which leaves autograd reached and what arrived there.

`torch.autograd.graph._engine_run_backward` sees `backward`, `grad`, GradScaler, Lightning, Trainer, Accelerate and DDP. Passes nest where a
reentrant checkpoint recomputes: only the outermost counts, but leaves reached at any depth do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from gradflow.capture.flow.frames import user_place
from gradflow.capture.flow.patches import RECORDERS, Patches
from gradflow.capture.flow.trace import Place, Step
from gradflow.capture.flow.values import Trace
from gradflow.capture.training.autograd_walk import Walk, walk
from gradflow.capture.training.backward_drawing import RawDrawing, draw_backward
from gradflow.capture.training.numbers import GradientFact, has_values, measure
from gradflow.capture.training.origins import NODES_AT_MOST, Origin, OriginWatch
from gradflow.graph.flow import CutReason, NodeKind

_WALKS_KEPT = 12
_ROOTS_KEPT = 64


@dataclass(slots=True)
class DroppedGradient:
    """A custom Function whose backward gave None: the Function, and the leaves for which it was the last hope."""

    function: type
    inputs: tuple[int, ...]
    leaves: frozenset[int]


@dataclass(slots=True)
class Pass:
    """One backward pass. Leaves are serials. `facts` holds what arrived, for leaves that no optimizer holds;
    `nested` the leaves that passes inside this one reached, where a reentrant checkpoint ran its part again; `given` the leaves whose
    `.grad` was not zero when it had ended, read only where gradients were seen to go lost."""

    number: int
    roots: tuple[Step, ...]
    place: Place | None
    reached: set[int] = field(default_factory=set)
    delivered: set[int] = field(default_factory=set)
    nested: set[int] = field(default_factory=set)
    given: set[int] = field(default_factory=set)
    facts: dict[int, GradientFact] = field(default_factory=dict)
    rebuilt: tuple[Step, ...] = ()
    dropped: list[DroppedGradient] = field(default_factory=list)
    walk: Walk | None = None
    origins: list[Origin] = field(default_factory=list)
    into_grad: bool = True
    drawing: RawDrawing | None = None


class Passes:
    """All backward passes seen, in order. `held` answers whether an optimizer holds a leaf; `after` is called when a pass has ended."""

    def __init__(self, trace: Trace, held: Callable[[int], bool], after: Callable[[Pass], None], any_module: Callable[[], bool]) -> None:
        self.trace = trace
        self.seen: list[Pass] = []
        self.count = 0
        self.functional = False
        self.traced = False
        self.draws = False
        self.suspicious = False
        self._open: list[Pass] = []
        self._held = held
        self._after = after
        self.any_module = any_module

    def observe(self, patches: Patches) -> None:
        """Puts the watch in place, at both names of the funnel."""
        original = torch.autograd.graph._engine_run_backward

        def run_backward(t_outputs: Any, *args: Any, **kwargs: Any) -> Any:
            if torch._guards.TracingContext.try_get() is not None:
                return original(t_outputs, *args, **kwargs)  # torch.compile, which traces a backward that it compiles: nothing runs
            if torch._C._are_functorch_transforms_active():
                self.functional = True
                out = original(t_outputs, *args, **kwargs)
            else:
                out = self._run(original, t_outputs, args, kwargs)
            if not kwargs.get("accumulate_grad", True):
                with torch._C.DisableTorchFunction():
                    self._file_gradients(t_outputs, out)
            return out

        patches.put(torch.autograd.graph, "_engine_run_backward", run_backward)
        patches.put(torch.autograd, "_engine_run_backward", run_backward)

    def _run(self, original: Callable[..., Any], roots: Any, args: Any, kwargs: Any) -> Any:
        inputs = args[3] if len(args) > 3 else kwargs.get("inputs", ())
        into_grad = bool(kwargs.get("accumulate_grad", True))
        nested = bool(self._open)
        with torch._C.DisableTorchFunction():
            current, found = self._begin(roots, inputs or (), into_grad)
            handles = _listen(found, current)
            watch = self._look_for_origins(roots, found) if into_grad and not nested else None
            if self.draws and not self.seen and not nested:
                current.drawing = draw_backward(found, roots)
        found.nodes = []
        self._open.append(current)
        try:
            out = original(roots, *args, **kwargs)
        except RuntimeError:
            if not nested and not current.reached and not found.kinds:
                # "element 0 of tensors does not require grad": their crash, and the strongest of all cuts.
                self._keep(current, found)
            raise
        finally:
            self._open.pop()
            for handle in handles:
                handle.remove()
            if watch is not None:
                watch.close()
        with torch._C.DisableTorchFunction():
            if watch is not None:
                current.origins = watch.origins()
            self._end(current, found, inputs or (), out, nested)
        return out

    def _look_for_origins(self, roots: Any, found: Walk) -> OriginWatch | None:
        """Listens for where gradients become zero or NaN: in the first pass, and where earlier ones brought some."""
        if not (self.traced and (self.count < 1 or self.suspicious)) or len(found.kinds) > NODES_AT_MOST:
            return None
        values = [root for root in roots if isinstance(root, torch.Tensor)]
        if not all(has_values(value) for value in values):
            return None
        return OriginWatch(found, found.nodes, all(bool(torch.isfinite(value).all()) for value in values), self.trace).listen()

    def _file_gradients(self, roots: Any, out: Any) -> None:
        """The gradients that `torch.autograd.grad` gives are values too: made from the roots, and differentiable or not."""
        recorder = RECORDERS.current
        if recorder is None:
            return
        steps = [step for root in roots if isinstance(root, torch.Tensor) and (step := self.trace.find(root)) is not None]
        for value in out if steps else ():
            if isinstance(value, torch.Tensor) and not value.requires_grad:
                recorder.cut("torch.autograd.grad", steps, value, CutReason.NO_DERIVATIVE, sys._getframe(2))

    def _begin(self, roots: Any, inputs: Any, into_grad: bool) -> tuple[Pass, Walk]:
        trace = self.trace
        tensors = [root for root in roots if isinstance(root, torch.Tensor)]
        nodes = [root.grad_fn if isinstance(root, torch.Tensor) else root.node for root in roots]
        found = walk(nodes)
        traced = tensors if self.traced else []
        steps = [step for tensor in traced if (step := trace.find(tensor)) is not None]
        current = Pass(self.count + 1, tuple(steps), user_place(sys._getframe(2)), into_grad=into_grad)
        wanted = {id(value) for value in inputs if isinstance(value, torch.Tensor)}
        for value in inputs if not into_grad else ():
            if isinstance(value, torch.Tensor) and (leaf := trace.leaf(value)) is not None:
                leaf.asked = True
        derived = []
        for tensor in (*found.leaves, *(tensor for tensor in tensors if tensor.is_leaf and tensor.requires_grad)):
            if wanted and not into_grad and id(tensor) not in wanted:
                continue
            known = trace.values.get(id(tensor))
            if known is not None and known() is tensor and known.step.kind is not NodeKind.PARAMETER:
                derived.append(known.step)
                continue
            current.reached.add((trace.leaf(tensor) or trace.add_leaf(tensor, None, 0)).serial)
        if not current.reached:
            current.rebuilt = tuple(derived)
        serials = {id(tensor): leaf.serial for tensor in found.leaves if (leaf := trace.leaf(tensor)) is not None}
        found.leaf_serials.extend(serials.get(id(tensor), 0) for tensor in found.leaves)
        return current, found

    def _end(self, current: Pass, found: Walk, inputs: Any, out: Any, nested: bool) -> None:
        trace = self.trace
        if not current.into_grad:
            given = [(trace.leaf(value), grad) for value, grad in zip(inputs, out or (), strict=False) if isinstance(value, torch.Tensor)]
            arrived = {leaf.serial: grad for leaf, grad in given if leaf is not None and grad is not None}
            if not any(self._trains(serial) for serial in arrived):
                # A gradient with respect to data (a penalty, a score) is a value on the way to a loss, and no training by itself.
                return
        else:
            tensors = {serial: tensor for serial in current.reached if (tensor := trace.leaves[serial].ref()) is not None}
            arrived = {serial: tensor.grad for serial, tensor in tensors.items() if tensor.grad is not None}
        current.delivered |= arrived.keys()
        if nested:
            outer = self._open[-1]
            outer.nested |= current.reached
            outer.reached |= current.reached
            outer.delivered |= current.delivered
            return
        _blame_dropped(current, found)
        self.suspicious = self.suspicious or bool(current.origins)
        current.facts = measure({serial: grad for serial, grad in arrived.items() if not self._held(serial)})
        if self.suspicious and current.into_grad:
            self._note_given(current, arrived)
        self._keep(current, found)
        self._after(current)

    def _note_given(self, current: Pass, arrived: dict[int, torch.Tensor]) -> None:
        """Remembers which gradients are not zero now, and where they lie, so that who makes them zero before the step is seen."""
        current.given = {serial for serial, fact in measure(arrived).items() if fact.norm != 0.0}
        strided = {serial: grad for serial, grad in arrived.items() if grad.layout is torch.strided}
        self.trace.gradients = {grad.data_ptr(): serial for serial, grad in strided.items() if serial in current.given}
        self.trace.gradient_writes.clear()

    def _trains(self, serial: int) -> bool:
        leaf = self.trace.leaves[serial].ref()
        return isinstance(leaf, torch.nn.Parameter) or self._held(serial) or not self.any_module()

    def _keep(self, current: Pass, found: Walk) -> None:
        found.functions.clear()
        found.leaves.clear()
        if len(self.seen) < _WALKS_KEPT:
            current.walk = found
        if len(self.seen) >= _ROOTS_KEPT:
            current.roots = ()
        self.count += 1
        self.trace.pass_number = self.count
        self.seen.append(current)


def _listen(found: Walk, current: Pass) -> list[Any]:
    """Hooks on the backward nodes of custom Functions that tell which of their gradients are None. They go when the pass has ended."""
    handles = []
    for node in found.functions:
        function = getattr(type(node), "_forward_cls", None)
        if function is None or function.__module__.startswith("torch."):
            continue
        handles.append(node.register_hook(_Listener(current, function)))
    return handles


class _Listener:
    def __init__(self, current: Pass, function: type) -> None:
        self.current = current
        self.function = function

    def __call__(self, grad_inputs: Any, grad_outputs: Any) -> None:
        missing = tuple(number for number, grad in enumerate(grad_inputs) if grad is None)
        if missing:
            self.current.dropped.append(DroppedGradient(self.function, missing, frozenset()))


def _blame_dropped(current: Pass, found: Walk) -> None:
    """Keeps a Function that gave None only with the leaves below it that were reached and got nothing."""
    waiting = current.reached - current.delivered
    if not waiting or not current.dropped:
        current.dropped = []
        return
    serials = dict(zip(found.leaf_nodes, found.leaf_serials, strict=True))
    below: dict[int, list[int]] = {}
    for head, tail in zip(found.heads, found.tails, strict=True):
        below.setdefault(head, []).append(tail)
    named = {name: number for number, name in enumerate(found.names)}
    kept = []
    for dropped in {entry.function: entry for entry in current.dropped}.values():
        kind = named.get(dropped.function.__name__ + "Backward", -1)
        starts = [number for number, node_kind in enumerate(found.kinds) if node_kind == kind]
        leaves = frozenset(serials[node] for node in _reach(below, starts) if node in serials) & waiting
        if leaves:
            kept.append(DroppedGradient(dropped.function, dropped.inputs, leaves))
    current.dropped = kept


def _reach(below: dict[int, list[int]], starts: list[int]) -> set[int]:
    seen, stack = set(starts), list(starts)
    while stack:
        for node in below.get(stack.pop(), ()):
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return seen
