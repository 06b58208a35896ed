"""Watches the user's own training loop, from `with` to its end."""

from __future__ import annotations

import sys
from types import TracebackType

import torch

from gradflow.capture.session import Session
from gradflow.errors import UsageError
from gradflow.graph.recording import Recording, Target, TargetKind

STEPS_RECORDED = 3


class Watch:
    """Records the first steps of a loop, then only counts. `recording()` is there once the block has ended, and while it runs."""

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        if not isinstance(model, torch.nn.Module):
            raise UsageError(f"expected a torch.nn.Module to watch, found {type(model).__name__}; pass the model itself")
        self.model = model
        self.optimizer = optimizer
        self._session = Session(steps=STEPS_RECORDED, on_done=self._enough)
        self._open = False
        self._recording: Recording | None = None

    def __enter__(self) -> Watch:
        session = self._session
        session.install()
        self._open = True
        session.registry.keep_calls = False
        with torch._C.DisableTorchFunction():
            for module in self.model.modules():
                session.registry.add(module, None)
            if self.optimizer is not None:
                session.optimizers.add(self.optimizer, None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._recording is None:
            self._recording = self._take()
        if self._open:
            self._open = False
            self._session.uninstall()

    def recording(self) -> Recording:
        """What was seen so far."""
        return self._recording if self._recording is not None else self._take()

    def _take(self) -> Recording:
        self._session.look(sys._getframe(2))
        target = Target(TargetKind.API, "", f"gradflow.watch({type(self.model).__name__})")
        return self._session.recording(target)

    def _enough(self) -> None:
        # Inside the mode's own stack it cannot be popped: recording is paused for good instead, which costs a microsecond a call.
        self._recording = self._take()
        self._session.pause()
