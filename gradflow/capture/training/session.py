"""One watched run: puts every hook in place, lets the program train, decides when enough was seen, and tells what it saw.

The program is recorded from its first line to the stop in one phase, and never run twice: its side effects happen once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

import torch
from torch.overrides import _get_current_function_mode_stack

from gradflow.capture.facts.facts import build_recording
from gradflow.capture.facts.inventory import Member, Root, find_roots
from gradflow.capture.facts.names import learn_names, variable_of
from gradflow.capture.flow.blind_spots import observe_blind_spots
from gradflow.capture.flow.compiled_calls import observe_compiled
from gradflow.capture.flow.module_hooks import observe_modules, observe_parameters
from gradflow.capture.flow.patches import RECORDERS, Patches
from gradflow.capture.flow.recorder import Recorder
from gradflow.capture.flow.trace import leaves_above
from gradflow.capture.flow.values import Trace
from gradflow.capture.flow.warning_places import observe_warnings
from gradflow.capture.surrogate import project
from gradflow.capture.training.closer_look import CloserLook
from gradflow.capture.training.optimizers import Optimizers, WatchedOptimizer
from gradflow.capture.training.passes import Pass, Passes
from gradflow.capture.training.registry import Registry
from gradflow.capture.training.seen import Seen
from gradflow.capture.training.statistics import PASSES_LOOKED_AT, Statistics
from gradflow.graph.recording import Recording, Target

PASSES_WITHOUT_OPTIMIZER = 8
PASSES_AT_MOST = 60
PATIENCE = 10
"""A suspect that is merely unused so far (an unrouted expert, an alternating head) gets this many times the steps before it is judged."""
PATIENCE_SECONDS = 30.0


class Session:
    """Hooks, recorder and counts of one run. `on_done` is called inside the user's stack when enough steps were seen.

    `steps`: how many steps of an optimizer to watch. With `trace=False` only autograd is asked, and nothing can be blamed. `draws`: the
    first backward graph is drawn too, while its tensors are there. `focus`: patterns of parameters that are looked at more closely.
    """

    def __init__(
        self,
        *,
        steps: int = 3,
        on_done: Callable[[], None] | None = None,
        trace: bool = True,
        draws: bool = False,
        focus: Sequence[str] = (),
    ) -> None:
        self.trace = Trace()
        self.registry = Registry()
        self.traced = trace
        self.optimizers = Optimizers(self.trace, self._stepped)
        self.passes = Passes(self.trace, self.optimizers.held, self._passed, lambda: bool(self.registry.modules))
        self.optimizers.passes = self.passes
        self.passes.traced = trace
        self.closer = CloserLook(focus, self.trace, self.registry, self.took_part) if focus else None
        self.optimizers.closer = self.closer
        self.passes.draws = draws
        self.names: dict[int, str] = {}
        self.roots: list[Root] = []
        self.members: list[Member] = []
        self.statistics = Statistics()
        self._steps = steps
        self._on_done = on_done
        self._patches = Patches()
        self._recorder: Recorder | None = None
        self._pid = os.getpid()
        self._first_step_at = 0.0
        self._done = False
        self._looked_at = (0, 0)
        self._looked_after = (-1, -1)

    @property
    def backward_passes(self) -> int:
        """Outermost backward passes seen."""
        return self.passes.count

    @property
    def optimizer_steps(self) -> int:
        """Steps of all optimizers seen."""
        return self.optimizers.steps

    @property
    def class_names(self) -> tuple[str, ...]:
        """The `nn.Module` classes that the script itself defines, in order of definition."""
        scope = vars(sys.modules["__main__"])
        return tuple(
            name
            for name, value in scope.items()
            if isinstance(value, type) and issubclass(value, torch.nn.Module) and value.__module__ in ("__main__", scope.get("__name__"))
        )

    def install(self, *, hooks: bool = True) -> None:
        """Puts all hooks in place and begins to record in this thread; without `hooks` the caller tells `optimizers` of every step."""
        observe_warnings(self._patches)
        observe_modules(self._patches, self.registry, self.trace)
        self.passes.observe(self._patches)
        self.optimizers.observe(self._patches, hooks=hooks)
        if self.traced:
            observe_parameters(self._patches, self.trace)
            observe_blind_spots(self._patches, self.trace)
            observe_compiled(self._patches)
            self._recorder = Recorder(self.trace)
            self._recorder.__enter__()
            RECORDERS.current = self._recorder
        if self.closer is not None:
            self.closer.observe(self._patches, self._recorder)

    def uninstall(self) -> None:
        """Takes every hook away again."""
        if self._recorder is not None:
            self._recorder.__exit__(None, None, None)
            self._recorder = None
        RECORDERS.current = None
        self.optimizers.close()
        self._patches.restore()

    def retire(self) -> bool:
        """Takes every hook away, if that is possible here; else (False) the recording mode stays on the stack, asleep, to the end."""
        stack = _get_current_function_mode_stack()
        if self._recorder is None or (stack and stack[-1] is self._recorder):
            self.uninstall()
            return True
        # A mode of the program's own lies over ours, or torch has taken ours off for the length of a call.
        self.pause()
        RECORDERS.current = None
        self.optimizers.close()
        self._patches.restore()
        return False

    def pause(self) -> None:
        """Records nothing from here on; the hooks stay until `uninstall`."""
        if self.closer is not None:
            self.closer.sleep()
        if self._recorder is not None:
            self._recorder.paused = 1 << 30

    def look(self, frame: FrameType | None) -> None:
        """Learns roots and names while the program's variables are alive; roots are held from here on, so that they stay so."""
        self._looked_at = self._population()
        self._looked_after = (self.passes.count, self.optimizers.steps)
        with torch._C.DisableTorchFunction():
            self.optimizers.look()
            roots = find_roots(self.registry, self.took_part(), self.trace)
            optimizers = [value for watched in self.optimizers.seen if (value := watched.ref()) is not None]
            loose = [tensor for serial in self.took_part() if (tensor := self.trace.leaves[serial].ref()) is not None]
            named = learn_names([*(root.module for root in roots), *optimizers, *loose], frame)
            known = {root.serial: root for root in self.roots}
            for root in roots:
                root.trained = known[root.serial].trained if root.serial in known else root.module.training
                root.name = known[root.serial].name if root.serial in known else ""
                root.name = root.name or variable_of(named.get(id(root.module), ""))
                known[root.serial] = root
            self.roots = [known[serial] for serial in sorted(known) if known[serial] in roots or not roots]
            for watched in self.optimizers.seen:
                watched.name = watched.name or variable_of(named.get(id(watched.ref()), ""))
            for tensor in loose:
                leaf = self.trace.leaf(tensor)
                if leaf is not None and id(tensor) in named:
                    self.names.setdefault(leaf.serial, named[id(tensor)])

    def _look_again(self, frame: FrameType) -> None:
        """Looks where modules or optimizers are new since the last look: it costs milliseconds on a large model."""
        if self._looked_at != self._population():
            self.look(frame)

    def _population(self) -> tuple[int, int]:
        return len(self.registry.modules), len(self.optimizers.seen)

    def took_part(self) -> set[int]:
        """Serials of the leaves that a pass reached or an optimizer holds."""
        reached = {serial for entry in self.passes.seen for serial in entry.reached}
        return reached.union(*(watched.holds for watched in self.optimizers.seen))

    def audit_last_call(self) -> bool:
        """Where no backward was seen: runs one from a random projection of what the last outermost module call gave. False if none."""
        call = self.registry.last_call
        if call is None:
            return False
        self.registry.keep_calls = False
        loss = project(call[1])
        if loss is None:
            return False
        try:
            loss.backward()
        except RuntimeError:
            # Nothing in the output needs a gradient: the pass that failed is noted, and that is the answer.
            return self.passes.count > 0
        return True

    def recording(self, target: Target, *, crash: str = "", timed_out: bool = False, notes: tuple[str, ...] = ()) -> Recording:
        """All that was seen, as plain values."""
        if self._looked_at != self._population() or self._looked_after != (self.passes.count, self.optimizers.steps):
            self.look(sys._getframe(1))
        with torch._C.DisableTorchFunction():
            seen = self.seen()
            notes = (*notes, *(self.closer.notes if self.closer is not None else ()))
            recording = build_recording(seen, target, crash=crash, timed_out=timed_out, notes=notes)
            self.members = seen.members
            return recording

    def seen(self) -> Seen:
        """What this run gave so far."""
        shares = self.closer.zero_shares() if self.closer is not None else {}
        return Seen(self.trace, self.registry, self.passes, self.optimizers, self.roots, self.names, self.traced, self.statistics, shares)

    def _passed(self, entry: Pass) -> None:
        for root in self.roots:
            root.trained = root.trained or root.module.training
        if entry.number <= PASSES_LOOKED_AT:
            self.statistics.note(self.registry.live())
        self.registry.keep_calls = False
        self.registry.last_call = None
        if not self.optimizers.seen and entry.number <= PASSES_WITHOUT_OPTIMIZER:
            self._look_again(sys._getframe(1))
        enough = PASSES_WITHOUT_OPTIMIZER if not self.optimizers.seen else PASSES_AT_MOST
        stepped_twice = any(watched.steps >= 2 for watched in self.optimizers.seen)
        if self.passes.count >= enough and (stepped_twice or not self.optimizers.seen):
            self._finish()

    def _stepped(self, watched: WatchedOptimizer) -> None:
        if not self._first_step_at:
            self._first_step_at = time.monotonic()
        if watched.steps <= self._steps:
            self._look_again(sys._getframe(1))
        if watched.steps < self._steps:
            return
        waiting = [other for other in self.optimizers.seen if not other.steps and other.ref() is not None]
        if waiting and watched.steps < PATIENCE * self._steps:
            return
        if self._suspects() and watched.steps < PATIENCE * self._steps and time.monotonic() - self._first_step_at < PATIENCE_SECONDS:
            return
        self._finish()

    def _suspects(self) -> bool:
        """Leaves that an optimizer holds and that had no part in any loss so far, or only one that was multiplied by a number that is zero
        as yet: more steps may yet show them live."""
        reached = {serial for entry in self.passes.seen for serial in entry.reached}
        missing = {serial for watched in self.optimizers.seen for serial in watched.holds if serial not in reached and self._needs(serial)}
        growing = {serial for entry in self.passes.seen for origin in entry.origins if origin.may_grow for serial in origin.leaves}
        if self.optimizers.all_zero(growing):
            return True
        return bool(missing) and bool(missing - leaves_above([root for entry in self.passes.seen for root in entry.roots]))

    def _needs(self, serial: int) -> bool:
        tensor = self.trace.leaves[serial].ref()
        return tensor is not None and tensor.requires_grad

    def _finish(self) -> None:
        if self._on_done is None or self._done or os.getpid() != self._pid:
            return
        self._done = True
        self._on_done()
