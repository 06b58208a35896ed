"""Watches the user's own training loop, from `with` to its end: its first steps recorded, then every N-th looked at by autograd alone.

Between watched steps nothing is in place but two hooks on optimizer steps, which count. What a watched step needs goes in and out at the
end of a step, where no call of the program is under way. Where a parameter that learned has stopped to, the next steps are recorded again,
so that the operation which kills it can be named.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import _get_current_function_mode_stack

from gradflow.capture.flow.patches import Patches
from gradflow.capture.training.later_steps import look_at_step, thinned
from gradflow.capture.training.passes import Pass
from gradflow.capture.training.session import Session
from gradflow.errors import UsageError
from gradflow.graph.recording import Recording, Target, TargetKind, Turn, Turned
from gradflow.verdict import Verdict, judge_step

STEPS_RECORDED = 3
TURNS_AT_MOST = 8
"""How often in one training the recorder is put in again: each costs memory for the flow graph that it gives."""
LOOKED = 1 << 30


class _OneLook(Session):
    """A session for one step, seen by autograd's graph and by `.grad` alone; `told` is called when a backward pass has ended."""

    def __init__(self, told: Callable[[Session], None]) -> None:
        super().__init__(steps=LOOKED, trace=False)
        self._told = told

    def _passed(self, entry: Pass) -> None:
        super()._passed(entry)
        self._told(self)


class Watch:
    """`recording()` and `turns` tell what was seen, at any time. `news` is called, between two steps, when there is more to tell.

    Args:
        optimizer: the one whose steps are counted; by default the first that takes one.
        every: each so many steps one is watched.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        every: int = 100,
        news: Callable[[], None] = lambda: None,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise UsageError(f"expected a torch.nn.Module to watch, found {type(model).__name__}; pass the model itself")
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise UsageError(f"expected every=N with a whole number of steps from 1 on, found every={every!r}")
        self.model = model
        self.optimizer = optimizer
        self.every = every
        self.turns: list[Turn] = []
        self.steps = 0
        self._news = news
        self._session: Session | None = None
        self._asleep: list[Session] = []
        self._handles: list[Any] = []
        self._leader = optimizer
        self._recording: Recording | None = None
        self._tensors: list[weakref.ref[torch.Tensor] | None] = []
        self._turned: dict[str, Turned] = {}
        self._told: set[str] = set()
        self._enough = False
        self._depth = 0
        self._passes: Patches | None = None

    def __enter__(self) -> Watch:
        self._depth = len(_get_current_function_mode_stack())
        self._handles = [register_optimizer_step_pre_hook(self._before), register_optimizer_step_post_hook(self._after)]
        self._open(Session(steps=STEPS_RECORDED, on_done=self._seen_enough))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        session, self._session = self._session, None
        if session is not None:
            if self._recording is None:
                self._take(session)
            elif session.traced:
                self._take_turn(session)
            session.uninstall()
        for asleep in self._asleep:
            asleep.uninstall()
        if self._passes is not None:
            self._passes.restore()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if error is None:
            self._news()

    def recording(self) -> Recording:
        """What was seen so far: the first steps, and in the facts of each parameter the steps that were watched later."""
        if self._recording is not None:
            return self._recording
        if self._session is None:
            raise UsageError("nothing was watched yet: the report is there from `with gradflow.watch(...) as flow:` on")
        return self._session.recording(self._target())

    def _open(self, session: Session) -> None:
        self._session = session
        session.install(hooks=False)
        session.registry.keep_calls = False
        with torch._C.DisableTorchFunction():
            for module in self.model.modules():
                session.registry.add(module, None)
            if self._leader is not None:
                session.optimizers.add(self._leader, None)

    def _close(self) -> None:
        session, self._session, self._enough = self._session, None, False
        if session is not None and not session.retire():
            self._asleep.append(session)

    def _seen_enough(self) -> None:
        self._enough = True
        session = self._session
        if session is not None and not session.optimizers.seen:
            # Called from inside a backward pass: no step of an optimizer will come and end this, so passes are what is counted.
            self.steps += session.backward_passes
            self._between_steps(session)
            self._count_passes()

    def _count_passes(self) -> None:
        """Counts backward passes from here on, in a loop that has no optimizer; while a session watches, that does."""
        if self._passes is not None:
            return
        original = torch.autograd.graph._engine_run_backward
        self._passes = Patches()

        def counted(*args: Any, **kwargs: Any) -> Any:
            session = self._session
            out = original(*args, **kwargs)
            if session is None and self._session is None and self._leader is None and kwargs.get("accumulate_grad", True):
                self.steps += 1
                self._between_steps(None)
            return out

        self._passes.put(torch.autograd.graph, "_engine_run_backward", counted)
        self._passes.put(torch.autograd, "_engine_run_backward", counted)

    def _looked(self, session: Session) -> None:
        """A pass has ended in a session that looks at one step: where no optimizer steps, it was that step."""
        if self._leader is None and session is self._session:
            self.steps += 1
            self._between_steps(session)

    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._session is not None:
            self._session.optimizers.before_step(optimizer, args, kwargs)

    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._session is not None:
            self._session.optimizers.after_step(optimizer, args, kwargs)
        if self._leader is None:
            self._leader = optimizer
        if optimizer is self._leader:
            self.steps += 1
            self._between_steps(self._session)
        elif self._enough and self._recording is None and self._session is not None:
            self._take(self._session)
            self._close()
            self._news()

    def _between_steps(self, session: Session | None) -> None:
        """Ends what has seen enough and begins what is due with the next step. Tells of news last: whoever hears of it may raise."""
        news = False
        if session is not None and self._enough:
            if self._recording is None:
                self._take(session)
                news = True
            elif session.traced:
                news = self._take_turn(session)
            self._close()
        elif session is not None and self._recording is not None and not session.traced:
            self._look(session)
            self._close()
            news = not self._may_record() and self._take_turn_unrecorded()
        if self._session is None and self._recording is not None:
            if self._turned and self._may_record():
                self._open(Session(steps=STEPS_RECORDED, on_done=self._seen_enough))
            elif (self.steps + 1) % self.every == 0:
                self._open(_OneLook(self._looked))
        if news:
            self._news()

    def _take(self, session: Session) -> None:
        session.look(sys._getframe(2))
        self._recording = session.recording(self._target())
        self._tensors = [None if member.tensor is None else weakref.ref(member.tensor) for member in session.members]

    def _look(self, session: Session) -> None:
        """Adds what the step just taken brought to the facts, and notes who has stopped to learn."""
        if self._recording is None or not session.backward_passes:
            return
        facts = []
        tensors = [None if ref is None else ref() for ref in self._tensors]
        found = look_at_step(session.seen(), self._recording.parameters, tensors, self.steps)
        for fact, step in zip(self._recording.parameters, found, strict=True):
            if step is None:
                facts.append(fact)
                continue
            last = fact.steps[-1] if fact.steps else None
            if last is not None and judge_step(last) is Verdict.LIVE and judge_step(step) is not Verdict.LIVE:
                if fact.name not in self._told:
                    self._turned[fact.name] = Turned(fact.name, last.step, step.step)
            elif judge_step(step) is Verdict.LIVE:
                self._turned.pop(fact.name, None)
            facts.append(replace(fact, steps=thinned((*fact.steps, step))))
        self._recording = replace(self._recording, parameters=tuple(facts), optimizer_steps=self.steps)

    def _take_turn(self, session: Session) -> bool:
        """Keeps the recording of the steps after a turn, if none of these brought a gradient again; else there is nothing to tell."""
        if not session.backward_passes:
            return False
        recording = session.recording(self._target())
        live = {fact.name for fact in recording.parameters if any(judge_step(step) is Verdict.LIVE for step in fact.steps)}
        turned = tuple(turn for name, turn in self._turned.items() if name not in live)
        self._turned.clear()
        self._told.update(turn.name for turn in turned)
        if turned:
            self.turns.append(Turn(recording, turned))
        return bool(turned)

    def _take_turn_unrecorded(self) -> bool:
        """Where the recorder cannot be put in: keeps as a turn what the watched steps alone tell, once a second one has confirmed it."""
        turned = tuple(turn for turn in self._turned.values() if turn.lost < self.steps)
        if not turned or self._recording is None or len(self.turns) >= TURNS_AT_MOST:
            return False
        first = min(turn.lost for turn in turned)
        facts = [replace(fact, steps=tuple(step for step in fact.steps if step.step >= first)) for fact in self._recording.parameters]
        self.turns.append(Turn(replace(self._recording, parameters=tuple(facts), origins=()), turned))
        self._told.update(turn.name for turn in turned)
        self._turned.clear()
        return True

    def _may_record(self) -> bool:
        """Whether the recorder may be put on the stack of modes here: it lies then where it lay at first, so that it comes off again."""
        return len(self.turns) < TURNS_AT_MOST and len(_get_current_function_mode_stack()) == self._depth

    def _target(self) -> Target:
        return Target(TargetKind.API, "", f"gradflow.watch({type(self.model).__name__})")
