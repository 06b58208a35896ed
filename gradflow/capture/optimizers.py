"""Watches optimizers: what each holds, and at each of its steps what arrived at its parameters since its last one.

`.grad` is read in the hook before the step, because `zero_grad` follows it; the judgement is made over all backward passes since the last
step of the same optimizer, which is what makes GANs, actor-critics and accumulation right.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from gradflow.capture.frames import user_frame
from gradflow.capture.numbers import fingerprint, measure
from gradflow.capture.passes import Passes
from gradflow.capture.patches import Patches
from gradflow.capture.trace import Place
from gradflow.capture.values import Trace
from gradflow.graph.recording import StepFact


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
        self.facts: dict[int, list[StepFact]] = {}


class Optimizers:
    """All optimizers seen, in the order built. `after` is called when one has taken a step."""

    def __init__(self, trace: Trace, after: Callable[[WatchedOptimizer], None]) -> None:
        self.trace = trace
        self.passes: Passes | None = None
        self.seen: list[WatchedOptimizer] = []
        self.steps = 0
        self.fingerprints: dict[int, int] = {}
        self._after = after
        self._handles: list[Any] = []
        self._watched: dict[int, WatchedOptimizer] = {}
        self._guard: Any = None

    def observe(self, patches: Patches) -> None:
        """Puts the watch in place."""
        init = torch.optim.Optimizer.__init__

        def built(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            init(optimizer, *args, **kwargs)
            with torch._C.DisableTorchFunction():
                self.add(optimizer, sys._getframe(1))

        original = torch.optim.Optimizer.zero_grad

        def cleared(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            with torch._C.DisableTorchFunction():
                original(optimizer, *args, **kwargs)

        patches.put(torch.optim.Optimizer, "__init__", built)
        patches.put(torch.optim.Optimizer, "zero_grad", cleared)
        self._handles = [register_optimizer_step_pre_hook(self._before_step), register_optimizer_step_post_hook(self._after_step)]

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
        found = None if frame is None else user_frame(frame)
        watched = WatchedOptimizer(optimizer, None if found is None else Place(found.f_code, found.f_lasti))
        self.seen.append(watched)
        self._watched[id(optimizer)] = watched
        self._look(watched, optimizer)
        return watched

    def held(self, leaf: int) -> bool:
        """Whether any optimizer holds the leaf."""
        return any(leaf in watched.holds for watched in self.seen)

    def look(self) -> None:
        """Reads again what every living optimizer holds."""
        for watched in self.seen:
            optimizer = watched.ref()
            if optimizer is not None:
                self._look(watched, optimizer)

    def _look(self, watched: WatchedOptimizer, optimizer: torch.optim.Optimizer) -> list[tuple[int, torch.Tensor]]:
        held = []
        for group in optimizer.param_groups:
            for tensor in group["params"]:
                leaf = self.trace.leaf(tensor) or self.trace.add_leaf(tensor, None, 0)
                held.append((leaf.serial, tensor))
        watched.holds.update(dict.fromkeys(serial for serial, _ in held))
        return held

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        with torch._C.DisableTorchFunction():
            watched = self.add(optimizer, None)
            held = self._look(watched, optimizer)
            if not watched.steps:
                for serial, tensor in held:
                    self.fingerprints.setdefault(serial, fingerprint(tensor))
            # With a closure the passes come from inside the step: they are judged when it has ended.
            if not _closure(args, kwargs):
                self._judge(watched, held)
        self.trace.stepping += 1
        if not _closure(args, kwargs):
            self.resume()
            self._guard = torch._C.DisableTorchFunction()
            self._guard.__enter__()

    def _judge(self, watched: WatchedOptimizer, held: list[tuple[int, torch.Tensor]]) -> None:
        assert self.passes is not None
        recent = [entry for entry in self.passes.seen[watched.passes_judged :] if entry.into_grad]
        watched.passes_judged = len(self.passes.seen)
        if not recent:
            return
        facts = measure({serial: tensor.grad for serial, tensor in held if tensor.grad is not None})
        for serial, _ in held:
            fact = facts.get(serial)
            reached = any(serial in entry.reached for entry in recent)
            watched.facts.setdefault(serial, []).append(
                StepFact(
                    step=watched.steps + 1,
                    reached=reached,
                    delivered=any(serial in entry.delivered for entry in recent),
                    grad_norm=fact.norm if fact is not None and reached else None,
                    finite=fact.finite if fact is not None else True,
                )
            )

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.resume()
        self.trace.stepping = max(0, self.trace.stepping - 1)
        watched = self.add(optimizer, None)
        if _closure(args, kwargs):
            with torch._C.DisableTorchFunction():
                self._judge(watched, self._look(watched, optimizer))
        watched.steps += 1
        self.steps += 1
        if self.steps == 1:
            for leaf in self.trace.leaves.values():
                leaf.written = False
        self._after(watched)


def _closure(args: Any, kwargs: Any) -> bool:
    """Whether the step was given a closure. The hook's `args` begin with the optimizer itself."""
    return any(callable(value) for value in (*args[1:], kwargs.get("closure")) if value is not None)
