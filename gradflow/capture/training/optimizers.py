"""Watches optimizers: what each holds, and at each of its steps what arrived at its parameters since its last one.

`.grad` is read in the hook before the step, because `zero_grad` follows it; the judgement is made over all backward passes since the last
step of the same optimizer, which is what makes GANs, actor-critics and accumulation right.
"""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import CodeType, FrameType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from gradflow.capture.flow.frames import user_place
from gradflow.capture.flow.patches import Patches
from gradflow.capture.flow.trace import Place
from gradflow.capture.flow.values import Trace
from gradflow.capture.training.closer_look import CloserLook
from gradflow.capture.training.numbers import fingerprints, has_values, measure
from gradflow.capture.training.passes import Pass, Passes
from gradflow.graph.recording import StepFact

STEPS_MEASURED = 40
"""Steps of one optimizer whose effect on the weights is measured: it costs a pass over their memory."""


class WatchedOptimizer:
    """One optimizer: its steps, the leaves it holds (serials), and by leaf what each step brought."""

    def __init__(self, optimizer: torch.optim.Optimizer, place: Place | None) -> None:
        self.ref = weakref.ref(optimizer)
        self.cls = type(optimizer)
        self.place = place
        self.name = ""
        self.steps = 0
        self.passes_judged = 0
        self.holds: dict[int, None] = {}
        self.frozen: set[int] = set()
        self.last_leaf = 0
        self.rates: dict[int, float] = {}
        self.peaks: dict[int, float] = {}
        self.scheduled = False
        self.empty_group = False
        self.decayed: set[int] = set()
        self.built_at = (0, 0)
        self.facts: dict[int, list[StepFact]] = {}
        self.resets: dict[int, int] = {}
        self.losses: dict[int, None] = {}


@dataclass(slots=True)
class Clearing:
    """One call that took gradients away: where, after how many backward passes, of which leaves (serials)."""

    place: Place | None
    after: int
    leaves: frozenset[int]


@dataclass(slots=True)
class Loss:
    """Gradients that an optimizer never saw because they were cleared before its step: the clearing line, and the leaves."""

    optimizer: WatchedOptimizer
    place: Place | None
    leaves: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Erasure:
    """Gradients that were not zero when the backward pass had ended, and were when the optimizer stepped: the writing line, the call, the
    leaves. `whole`: nothing else is left of what the pass brought this optimizer."""

    optimizer: WatchedOptimizer
    place: Place | None
    call: str
    leaves: set[int] = field(default_factory=set)
    whole: bool = False


class Optimizers:
    """All optimizers seen, in the order built. `after` is called when one has taken a step."""

    def __init__(self, trace: Trace, after: Callable[[WatchedOptimizer], None]) -> None:
        self.trace = trace
        self.passes: Passes | None = None
        self.closer: CloserLook | None = None
        self.seen: list[WatchedOptimizer] = []
        self.steps = 0
        self.fingerprints: dict[int, int] = {}
        self.first_fingerprints: dict[int, int] = {}
        self._current: set[int] = set()
        self.losses: dict[tuple[int, int, int], Loss] = {}
        self.erasures: list[Erasure] = []
        self._clearings: list[Clearing] = []
        self._after = after
        self._handles: list[Any] = []
        self._watched: dict[int, WatchedOptimizer] = {}
        self._window = (0, 0)
        self._guard: Any = None

    def observe(self, patches: Patches, *, hooks: bool = True) -> None:
        """Puts the watch in place. Without `hooks` the caller has to tell of steps, by `before_step` and `after_step`."""
        init = torch.optim.Optimizer.__init__

        def built(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            init(optimizer, *args, **kwargs)
            with torch._C.DisableTorchFunction():
                self.add(optimizer, sys._getframe(1))

        original = torch.optim.Optimizer.zero_grad

        def cleared(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            with torch._C.DisableTorchFunction():
                original(optimizer, *args, **kwargs)
                self._clear((tensor for group in optimizer.param_groups for tensor in group["params"]), sys._getframe(1))

        clear_module = torch.nn.Module.zero_grad

        def module_cleared(module: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
            original = clear_module
            with torch._C.DisableTorchFunction():
                original(module, *args, **kwargs)
                self._clear(module.parameters(), sys._getframe(1))

        patches.put(torch.nn.Module, "zero_grad", module_cleared)
        patches.put(torch.optim.Optimizer, "__init__", built)
        patches.put(torch.optim.Optimizer, "zero_grad", cleared)
        if hooks:
            self._handles = [register_optimizer_step_pre_hook(self.before_step), register_optimizer_step_post_hook(self.after_step)]

    def close(self) -> None:
        """Takes the hooks away."""
        self.resume()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def resume(self) -> None:
        """Lets calls be recorded again after a step; also where a step ended by an exception."""
        if self._guard is not None:
            self._guard.__exit__(None, None, None)
            self._guard = None

    def add(self, optimizer: torch.optim.Optimizer, frame: FrameType | None) -> WatchedOptimizer:
        """Begins to watch an optimizer; a second call for the same one gives the first answer."""
        watched = self._watched.get(id(optimizer))
        if watched is not None and watched.ref() is optimizer:
            return watched
        watched = WatchedOptimizer(optimizer, user_place(frame))
        self.seen.append(watched)
        self._watched[id(optimizer)] = watched
        self._look(watched, optimizer)
        watched.frozen = {
            leaf.serial for leaf in self.trace.leaves.values() if (tensor := leaf.ref()) is not None and not tensor.requires_grad
        }
        watched.last_leaf = max(self.trace.leaves, default=0)
        watched.built_at = (self.steps, len(self.passes.seen) if self.passes is not None else 0)
        return watched

    def waited(self, watched: WatchedOptimizer) -> int:
        """How many steps the other optimizers took, or else backward passes were made, since `watched` was built without taking one."""
        if watched.steps or self.passes is None:
            return 0
        most = max((other.steps for other in self.seen if other is not watched), default=0)
        return max(most, 0) if most else len(self.passes.seen) - watched.built_at[1]

    def _clear(self, tensors: Iterable[torch.Tensor], frame: FrameType) -> None:
        leaves = frozenset(leaf.serial for tensor in tensors if (leaf := self.trace.leaf(tensor)) is not None)
        if self.passes is None or not leaves:
            return
        self._clearings = [*self._clearings[-15:], Clearing(user_place(frame), len(self.passes.seen), leaves)]

    def held(self, leaf: int) -> bool:
        """Whether any optimizer holds the leaf."""
        return any(leaf in watched.holds for watched in self.seen)

    def all_zero(self, leaves: Iterable[int]) -> bool:
        """Whether one of `leaves` (serials) got nothing but zeros in the steps of an optimizer that holds it."""
        steps = (watched.facts.get(serial) for serial in leaves for watched in self.seen)
        return any(facts and all(fact.grad_norm == 0.0 for fact in facts) for facts in steps)

    def look(self) -> None:
        """Reads again what every living optimizer holds."""
        for watched in self.seen:
            optimizer = watched.ref()
            if optimizer is not None:
                self._look(watched, optimizer)

    def _look(self, watched: WatchedOptimizer, optimizer: torch.optim.Optimizer) -> list[tuple[int, torch.Tensor]]:
        held = []
        for group in optimizer.param_groups:
            watched.empty_group = watched.empty_group or not group["params"]
            rate = float(group.get("lr", math.nan))
            peak = max(float(group.get("initial_lr", 0.0)), float(group.get("max_lr", 0.0)), 0.0 if math.isnan(rate) else rate)
            watched.scheduled = watched.scheduled or "initial_lr" in group
            decays = bool(group.get("weight_decay"))
            for tensor in group["params"]:
                leaf = self.trace.leaf(tensor) or self.trace.add_leaf(tensor, None, 0)
                held.append((leaf.serial, tensor))
                if decays:
                    watched.decayed.add(leaf.serial)
                watched.scheduled = watched.scheduled or watched.rates.get(leaf.serial, rate) != rate
                watched.rates[leaf.serial] = rate
                watched.peaks[leaf.serial] = max(watched.peaks.get(leaf.serial, 0.0), peak)
        watched.holds.update(dict.fromkeys(serial for serial, _ in held))
        return held

    def before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Reads what arrived since the last step of this optimizer."""
        with torch._C.DisableTorchFunction():
            watched = self.add(optimizer, None)
            held = self._look(watched, optimizer)
            # One that was frozen since the last step was not read after it, and may have moved in it rightly.
            fresh = [
                (serial, tensor)
                for serial, tensor in held
                if has_values(tensor) and (serial not in self.fingerprints or self._outdated(serial, tensor))
            ]
            if fresh and watched.steps < STEPS_MEASURED:
                self.fingerprints.update(zip((serial for serial, _ in fresh), fingerprints([tensor for _, tensor in fresh]), strict=True))
                for serial, _ in fresh:
                    self.first_fingerprints.setdefault(serial, self.fingerprints[serial])
                    self._current.add(serial)
            if 1 <= watched.steps < STEPS_MEASURED:
                self._note_resets(watched, held)
            if self.closer is not None and watched.steps < STEPS_MEASURED:
                self.closer.before_step(held)
            # With a closure the passes come from inside the step: they are judged when it has ended.
            if not _closure(args, kwargs):
                self._judge(watched, held)
                self._read_stale(watched, held)
        self.trace.stepping += 1
        if not _closure(args, kwargs):
            self.resume()
            self._guard = torch._C.DisableTorchFunction()
            self._guard.__enter__()

    def _read_stale(self, watched: WatchedOptimizer, held: list[tuple[int, torch.Tensor]]) -> None:
        """Reads the values of what no pass of this step reached, and whose `.grad` is there all the same: the step may move it."""
        stale = [(serial, tensor) for serial, tensor in held if serial not in self._current and _is_stale(watched, serial)]
        if stale and watched.steps < STEPS_MEASURED:
            self.fingerprints.update(zip((serial for serial, _ in stale), fingerprints([tensor for _, tensor in stale]), strict=True))

    def _note_resets(self, watched: WatchedOptimizer, held: list[tuple[int, torch.Tensor]]) -> None:
        """Counts the steps that begin with the very value from before the first one, of parameters that the program writes itself."""
        written = [(serial, tensor) for serial, tensor in held if self.trace.leaves[serial].written and serial in self.first_fingerprints]
        for (serial, _), value in zip(written, fingerprints([tensor for _, tensor in written]), strict=True):
            if value == self.first_fingerprints[serial]:
                watched.resets[serial] = watched.resets.get(serial, 0) + 1

    def _judge(self, watched: WatchedOptimizer, held: list[tuple[int, torch.Tensor]]) -> None:
        assert self.passes is not None
        start = watched.passes_judged
        recent = [(start + index + 1, entry) for index, entry in enumerate(self.passes.seen[start:]) if entry.into_grad]
        watched.passes_judged = len(self.passes.seen)
        if not recent:
            return
        self._note_losses(watched, recent)
        facts = measure({serial: tensor.grad for serial, tensor in held if tensor.grad is not None})
        if any(not fact.finite or fact.norm == 0.0 for fact in facts.values()):
            self.passes.suspicious = True
        erased: dict[tuple[CodeType, int] | None, Erasure] = {}
        # `p.grad = None` by hand for all that the pass brought is a `zero_grad`; for some of it, a way to freeze.
        none_left = not any(tensor.grad is not None for _, tensor in held)
        for serial, tensor in held:
            fact = facts.get(serial)
            reached = any(serial in entry.reached for _, entry in recent)
            delivered = [number for number, entry in recent if serial in entry.delivered]
            cleared = bool(delivered) and (fact is None or fact.norm == 0.0) and self._note_loss(watched, serial, delivered[-1])
            if none_left and not cleared and serial in recent[-1][1].delivered:
                place, cleared = self.trace.gradient_writes.get(serial, (None, ""))[0], True
                self._lose(watched, serial, place)
            if fact is not None and fact.norm == 0.0 and not cleared and serial in recent[-1][1].given:
                place, call = self.trace.gradient_writes.get(serial, (None, ""))
                erased.setdefault((place.code, place.instruction) if place else None, Erasure(watched, place, call)).leaves.add(serial)
            watched.facts.setdefault(serial, []).append(
                StepFact(
                    step=watched.steps + 1,
                    reached=reached,
                    delivered=bool(delivered),
                    grad_norm=fact.norm if fact is not None and reached and not cleared else None,
                    finite=fact.finite if fact is not None else True,
                    lr=None if math.isnan(watched.rates[serial]) else watched.rates[serial],
                    cleared=cleared,
                    frozen=not tensor.requires_grad,
                    stale_norm=fact.norm if fact is not None and not reached else None,
                )
            )

        given = recent[-1][1].given.intersection(serial for serial, _ in held)
        for erasure in erased.values():
            erasure.whole = erasure.leaves >= given
        self.erasures.extend(erased.values())

    def _note_losses(self, watched: WatchedOptimizer, recent: list[tuple[int, Pass]]) -> None:
        """Notes the losses (serials of their steps) of the passes since the last step of any optimizer: they are what it steps on."""
        if len(self.passes.seen if self.passes else ()) > self._window[1]:
            self._window = (self._window[1], recent[-1][0])
        watched.losses.update((root.serial, None) for number, entry in recent if number > self._window[0] for root in entry.roots)

    def _note_loss(self, watched: WatchedOptimizer, serial: int, last_pass: int) -> bool:
        """Whether a call cleared the leaf's gradient after the pass that brought it; notes where."""
        for clearing in reversed(self._clearings):
            if clearing.after >= last_pass and serial in clearing.leaves:
                self._lose(watched, serial, clearing.place)
                return True
        return False

    def _lose(self, watched: WatchedOptimizer, serial: int, place: Place | None) -> None:
        key = (id(watched), id(place.code) if place is not None else 0, place.instruction if place is not None else 0)
        self.losses.setdefault(key, Loss(watched, place)).leaves.add(serial)

    def _outdated(self, serial: int, tensor: torch.Tensor) -> bool:
        return not tensor.requires_grad and serial not in self._current

    def _note_moves(self, watched: WatchedOptimizer, optimizer: torch.optim.Optimizer) -> None:
        """Says of each leaf that may stand still, or should, whether the step that has just been taken changed it."""
        held = [
            (leaf.serial, tensor)
            for group in optimizer.param_groups
            for tensor in group["params"]
            if (leaf := self.trace.leaf(tensor)) is not None
            and leaf.serial in self.fingerprints
            and (_may_stand_still(tensor, group) or _is_stale(watched, leaf.serial))
        ]
        self._current = {serial for serial, _ in held}
        for (serial, _), new in zip(held, fingerprints([tensor for _, tensor in held]), strict=True):
            steps = watched.facts.get(serial)
            if steps and steps[-1].step == watched.steps + 1:
                steps[-1] = replace(steps[-1], moved=new != self.fingerprints[serial])
            self.fingerprints[serial] = new

    def _note_ratios(self, watched: WatchedOptimizer, optimizer: torch.optim.Optimizer) -> None:
        if self.closer is None:
            return
        for serial, ratio in self.closer.after_step(self._look(watched, optimizer)).items():
            steps = watched.facts.get(serial)
            if steps and steps[-1].step == watched.steps + 1:
                steps[-1] = replace(steps[-1], update_ratio=ratio)

    def after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Reads what the step did, and counts it."""
        self.resume()
        self.trace.stepping = max(0, self.trace.stepping - 1)
        watched = self.add(optimizer, None)
        if _closure(args, kwargs):
            with torch._C.DisableTorchFunction():
                self._judge(watched, self._look(watched, optimizer))
        if watched.steps < STEPS_MEASURED:
            with torch._C.DisableTorchFunction():
                self._note_moves(watched, optimizer)
                self._note_ratios(watched, optimizer)
        watched.steps += 1
        self.steps += 1
        if self.steps == 1:
            for leaf in self.trace.leaves.values():
                leaf.written = False
        self._after(watched)


def _is_stale(watched: WatchedOptimizer, serial: int) -> bool:
    """Whether the step that is being taken finds a gradient that no pass of it brought."""
    steps = watched.facts.get(serial, [])
    return bool(steps) and steps[-1].step == watched.steps + 1 and steps[-1].stale_norm is not None


def _may_stand_still(tensor: torch.Tensor, group: dict[str, Any]) -> bool:
    """Whether a step may leave a parameter as it is: only then is a look at its bits worth a pass over its memory."""
    return tensor.dtype in (torch.float16, torch.bfloat16) or not tensor.requires_grad or float(group.get("lr", 1.0)) == 0.0


def _closure(args: Any, kwargs: Any) -> bool:
    """Whether the step was given a closure. The hook's `args` begin with the optimizer itself."""
    return any(callable(value) for value in (*args[1:], kwargs.get("closure")) if value is not None)
