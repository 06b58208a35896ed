"""Waits in a running program for the training step in which layers are to be frozen, and has it taken once for each way, each in a fork.

The program itself never comes to that step. Forks run one after the other, so that they do not disturb each other's clocks.
"""

from __future__ import annotations

import inspect
import math
import os
import statistics
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader

from gradflow.capture.flow.patches import Patches
from gradflow.capture.freeze_ways import PATIENCE, ROUNDS, layers_of, moody_among
from gradflow.capture.launch.forks import Fork
from gradflow.capture.launch.freeze_subject import Subject, SubjectFinder, holders_of
from gradflow.capture.launch.frozen_step import FrozenStep, StepTaken
from gradflow.errors import InvariantError, TargetCrashed, UsageError
from gradflow.graph.freezing import FreezeCell, FreezeColumn, FreezeComparison, FreezeLayer, FreezeWay, died_of

Module = torch.nn.Module
_SHARE_OF_TIMING = 0.5
"""Of the time that is left once every way was tried, so much may go into timing."""


_STEPS_TO_FIND = 20
"""After so many steps of any optimizers a model that has the layers would have been called."""


class _Inside(threading.local):
    """Whether a module's call runs in this thread."""

    yes = False


class FreezeRun:
    """`done` is handed the comparison, or the error for which there is none, in the program's own process, and does not return.

    Args:
        layers: paths of modules, `*` allowed.
        step: the training step to take, from 1 on.
        until: the moment of `time.monotonic()` at which all has to be measured.
        alone: the one way to freeze, in this very process; None to fork for each.
    """

    def __init__(
        self,
        layers: tuple[str, ...],
        step: int,
        until: float,
        done: Callable[[FreezeComparison | Exception], NoReturn],
        alone: FreezeWay | None = None,
    ) -> None:
        self._alone = alone
        self._finder = SubjectFinder(layers)
        self._step = step
        self._until = until
        self._done = done
        self._subject: Subject | None = None
        self._optimizers: list[weakref.ref[torch.optim.Optimizer]] = []
        self._steps: dict[int, int] = {}
        self._passes = self._running = 0
        self._inside = _Inside()
        self._patches = Patches()
        self.frozen: FrozenStep | None = None

    @property
    def why_not(self) -> str:
        """Why the step never came, in one sentence, once the program has ended without it."""
        if self._finder.complaint and self._subject is None:
            return self._finder.complaint
        if self._subject is not None:
            steps = max(self._steps.values(), default=self._passes)
            return f"the program ended before training step {self._step} of {type(self._subject.model).__name__} began: it made {steps}"
        return "the program ran to its end, and called no model that an optimizer trains, so there is no step to take"

    def install(self) -> None:
        """Puts the watch in place."""
        call, init = Module.__call__, torch.optim.Optimizer.__init__
        run_backward = torch.autograd.graph._engine_run_backward

        def called(module: Module, *args: Any, **kwargs: Any) -> Any:
            original = call
            if self._inside.yes:
                return original(module, *args, **kwargs)
            if torch.is_grad_enabled():
                self._met(module, sys._getframe(1), (args, kwargs))
            self._inside.yes = True
            try:
                return original(module, *args, **kwargs)
            finally:
                self._inside.yes = False

        def built(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            original = init
            original(optimizer, *args, **kwargs)
            self._optimizers.append(weakref.ref(optimizer))

        def backward(*args: Any, **kwargs: Any) -> Any:
            original = run_backward
            self._running += 1
            try:
                if self.frozen is None or not kwargs.get("accumulate_grad", True):
                    return original(*args, **kwargs)
                return self.frozen.run_backward(lambda: original(*args, **kwargs))
            finally:
                self._running -= 1
                self._passes += not self._running

        self._patches.put(Module, "__call__", called)
        self._patches.put(torch.optim.Optimizer, "__init__", built)
        self._patches.put(torch.autograd.graph, "_engine_run_backward", backward)
        self._patches.put(torch.autograd, "_engine_run_backward", backward)
        self._patches.handle(register_optimizer_step_post_hook(self._stepped))
        load_here(self._patches)

    def uninstall(self) -> None:
        """Takes the watch away again, and what a step in this process has put in place."""
        self._patches.restore()
        if self.frozen is not None:
            self.frozen.undo()

    def _stepped(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._steps[id(optimizer)] = self._steps.get(id(optimizer), 0) + 1
        if self.frozen is not None:
            self.frozen.stepped(optimizer)
        elif self._subject is None and self._finder.complaint and sum(self._steps.values()) >= self._step + _STEPS_TO_FIND:
            self._done(UsageError(self._finder.complaint))

    def _met(self, module: Module, frame: FrameType, inputs: Any) -> None:
        """An outermost module is called, with gradients on."""
        if self._running:
            return  # a checkpoint runs its part again
        if self._subject is not None and id(module) not in self._subject.called_as:
            return
        if self.frozen is not None:
            self.frozen.call_begins()
            return
        if self._subject is None:
            self._subject = self._finder.find(module, frame)
        if self._subject is None:
            return
        holders = holders_of(self._subject.model, self._optimizers)
        if self._is_due(holders):
            self._take(self._subject, holders, inputs)

    def _is_due(self, holders: list[torch.optim.Optimizer]) -> bool:
        if not holders:  # a loop that moves the weights itself: its second step is known by the first one's backward pass
            return self._passes >= max(1, self._step - 1)
        rates = [float(group.get("lr", math.nan)) for optimizer in holders for group in optimizer.param_groups]
        steps = max(self._steps.get(id(optimizer), 0) for optimizer in holders)
        return steps >= self._step - 1 and any(rate != 0 for rate in rates)  # in a warm-up from zero nothing moves

    def _take(self, subject: Subject, holders: list[torch.optim.Optimizer], inputs: Any) -> None:
        """Returns where the step then goes on: in forks, or in this process if it is for one way alone."""
        layers = layers_of(subject.model, subject.chosen)
        number = max((self._steps.get(id(optimizer), 0) for optimizer in holders), default=self._passes) + 1
        if self._alone is not None:
            self._take_alone(self._alone, subject, holders, inputs, number)
            return
        try:
            check_can_fork()
            taken: dict[FreezeWay, StepTaken] = {}
            for way in FreezeWay:
                found = self._fork(way, subject, holders, inputs, (self._until - time.monotonic()) / (len(FreezeWay) - len(taken)))
                if found is None:
                    return
                taken[way] = found
                if way is FreezeWay.NOTHING and found.failure:
                    raise TargetCrashed(f"the step failed with nothing frozen: {found.failure}", found.traceback)
            seconds = self._times(taken, subject, holders, inputs)
            if seconds is None:
                return
        except Exception as error:  # noqa: BLE001 - whoever waits for the comparison has to hear of it
            self._done(error)
        self._done(self._compared(subject, holders, layers, taken, seconds, f"training step {number}, once for each way, on one thread"))

    def _take_alone(self, way: FreezeWay, subject: Subject, holders: list[torch.optim.Optimizer], inputs: Any, number: int) -> None:
        """No time is told: the first steps of a process are slow in ways of their own."""
        layers = layers_of(subject.model, subject.chosen)

        def tell(taken: StepTaken) -> NoReturn:
            if way is FreezeWay.NOTHING and taken.failure:
                self._done(TargetCrashed(f"the step failed with nothing frozen: {taken.failure}", taken.traceback))
            self._done(
                self._compared(subject, holders, layers, {way: taken}, {}, f"training step {number}, in a run of its own for each way")
            )

        self.frozen = FrozenStep(subject, holders, way, tell)
        self.frozen.begin(inputs)

    def _fork(
        self, way: FreezeWay, subject: Subject, holders: list[torch.optim.Optimizer], inputs: Any, seconds: float, *, speaks: bool = True
    ) -> StepTaken | None:
        """What the step did in a fork; None in the fork itself. The program's own words are heard once."""
        fork = Fork(speaks=speaks and way is FreezeWay.NOTHING)
        if fork.is_here:
            try:
                torch.set_num_threads(1)  # the threads of the process that forked are not here, and nobody would answer to them
                self.frozen = FrozenStep(subject, holders, way, fork.tell)
                self.frozen.begin(inputs)
            except Exception as error:  # noqa: BLE001 - a bug of ours, which the process that forked has to say
                fork.tell("".join(traceback.format_exception(error)))
            return None
        told, why_not = fork.result(max(seconds, 0.0))
        if isinstance(told, StepTaken):
            return told
        if isinstance(told, str):
            raise InvariantError(told)
        return StepTaken(failure=why_not)

    def _times(
        self, taken: dict[FreezeWay, StepTaken], subject: Subject, holders: list[torch.optim.Optimizer], inputs: Any
    ) -> dict[FreezeWay, float] | None:
        """Seconds of the step's backward passes, by way: the median of rounds in which all ways take turns; None in a fork."""
        found = {way: [entry.seconds] for way, entry in taken.items() if entry.seconds is not None}
        begun = time.monotonic()
        until = begun + min(PATIENCE * len(found), _SHARE_OF_TIMING * (self._until - begun))
        for _ in range(ROUNDS - 1):
            for way in found:
                if time.monotonic() >= until:
                    break
                entry = self._fork(way, subject, holders, inputs, self._until - time.monotonic(), speaks=False)
                if entry is None:
                    return None
                if entry.seconds is not None:
                    found[way].append(entry.seconds)
        return {way: statistics.median(seconds) for way, seconds in found.items()}

    def _compared(
        self,
        subject: Subject,
        holders: list[torch.optim.Optimizer],
        layers: list[FreezeLayer],
        taken: dict[FreezeWay, StepTaken],
        seconds: dict[FreezeWay, float],
        where: str,
    ) -> FreezeComparison:
        plain = taken.get(FreezeWay.NOTHING)
        columns = [
            FreezeColumn(
                way,
                entry.cells or tuple(FreezeCell(None, None, None) for _ in layers),
                died_of(layers, plain.cells, entry.cells) if plain and entry.cells and way is not FreezeWay.NOTHING else (),
                entry.saved_bytes,
                seconds.get(way),
                entry.failure,
            )
            for way, entry in taken.items()
        ]
        return FreezeComparison(
            model=type(subject.model).__name__,
            chosen=tuple(subject.chosen),
            optimizer=", ".join(dict.fromkeys(name_of(optimizer) for optimizer in holders)),
            layers=tuple(layers),
            columns=tuple(columns),
            moody=moody_among(subject.chosen),
            notes=(f"measured in the program's own {where}",),
            variable=subject.variable,
        )


class CannotFork(Exception):
    """A step of this process cannot be taken in a fork of it, for the reason given."""


def check_can_fork() -> None:
    """Returns where a step of this process can be taken in a fork of it.

    Raises:
        CannotFork: it cannot.
    """
    if not hasattr(os, "fork"):
        raise CannotFork(f"{sys.platform} has no forks")
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        raise CannotFork("CUDA works in no fork")
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        raise CannotFork("a process group works in no fork")


def name_of(optimizer: torch.optim.Optimizer) -> str:
    """The class of an optimizer, with its module where it is not torch's own."""
    cls = type(optimizer)
    return cls.__name__ if cls.__module__.startswith("torch.") else f"{cls.__module__}.{cls.__name__}"


def load_here(patches: Patches) -> None:
    """Makes every DataLoader load in this process: forks would take each other's batches out of the queues of its workers."""
    init: Callable[..., None] = DataLoader.__init__

    def made(loader: Any, *args: Any, **kwargs: Any) -> None:
        original = init
        bound = inspect.signature(init).bind(loader, *args, **kwargs)
        if bound.arguments.get("num_workers"):
            bound.arguments.update(num_workers=0, persistent_workers=False, timeout=0, prefetch_factor=None, multiprocessing_context=None)
        original(*bound.args, **bound.kwargs)

    patches.put(DataLoader, "__init__", made)
