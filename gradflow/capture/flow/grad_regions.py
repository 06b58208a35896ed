"""Which `with`, decorator or call has switched gradients off in one thread, told from the events and the frames in which they happen."""

from __future__ import annotations

import contextlib
from types import FrameType
from typing import Any

import torch

from gradflow.capture.flow.frames import RUNNING, is_library
from gradflow.capture.flow.trace import Place, Region
from gradflow.graph.flow import CutReason

_GRAD_MODE = torch.no_grad.__enter__.__code__.co_filename
_DECORATOR = "decorate_context"
_LABELS = {"no_grad": "torch.no_grad()", "inference_mode": "torch.inference_mode()"}


class GradRegions:
    """The region in which one thread runs. `switch` takes every change of the grad mode, `now` answers for a call under no grad."""

    def __init__(self) -> None:
        self.current: Region | None = None
        self.forced: list[Region] = []
        self._before: dict[int, Region | None] = {}

    def now(self, place: Place | None) -> Region:
        """The region of a call that runs with gradients off; one that nobody was seen to open begins at the call itself."""
        if self.forced:
            return self.forced[-1]
        return self.current or Region(
            CutReason.NO_GRAD, "gradients switched off", place, module=RUNNING.serials[-1] if RUNNING.serials else 0
        )

    def switch(self, enabled: bool, frame: FrameType) -> None:
        """Follows `torch._C._set_grad_enabled(enabled)`, called in `frame`."""
        owner, method = _context_manager(frame)
        if method in ("__exit__", "__call__"):
            self.current = self._before.pop(id(owner), None)
            return
        if owner is not None and not (method == "__enter__" and isinstance(owner, torch.set_grad_enabled) and id(owner) in self._before):
            # `set_grad_enabled(False)` switches in __init__, and again in __enter__ where it is used as a context manager.
            self._before[id(owner)] = self.current
        if enabled:
            self.current = None
        else:
            self._enter(opened(frame, CutReason.NO_GRAD, owner))

    def enter_inference(self, owner: Any, frame: FrameType) -> None:
        """Follows `torch.inference_mode(True).__enter__`, which no event tells."""
        self._before[id(owner)] = self.current
        self._enter(opened(frame, CutReason.INFERENCE_MODE, owner))

    def _enter(self, region: Region) -> None:
        if self.current is not None:
            region.outer = self.current.outer or self.current
        self.current = region

    def leave(self, owner: Any) -> None:
        """Back to the region before `owner` was entered."""
        self.current = self._before.pop(id(owner), None)


def opened(frame: FrameType, reason: CutReason, owner: Any) -> Region:
    """The region that begins in `frame`: its place is the user's `with`, call or, through torch's wrapper, the decorated function."""
    label = {"no_grad": "torch.no_grad()", "inference_mode": "torch.inference_mode()"}.get(
        type(owner).__name__, "torch.set_grad_enabled(False)"
    )
    module = RUNNING.serials[-1] if RUNNING.serials else 0
    inner: FrameType | None = frame
    steps = 0
    while inner is not None and is_library(inner.f_code.co_filename):
        if inner.f_code.co_name == _DECORATOR:
            decorated = inner.f_locals.get("func")
            code = getattr(decorated, "__code__", None)
            if code is not None and not is_library(code.co_filename):
                return Region(reason, label, None, code, module)
        elif inner.f_code.co_filename not in _QUIET:
            steps += 1
        inner = inner.f_back
    place = None if inner is None else Place(inner.f_code, inner.f_lasti)
    if steps:
        # A library's own `no_grad` (the `sample` of a distribution): what the user wrote is the call.
        return Region(CutReason.NO_DERIVATIVE, "", place, module=module)
    return Region(reason, label, place, module=module)


_QUIET = frozenset({_GRAD_MODE, torch.utils._contextlib.__file__, __file__, contextlib.__file__, "<string>"})


def _context_manager(frame: FrameType) -> tuple[Any, str]:
    """The grad-mode context manager whose method runs in or just above `frame`, and the method's name."""
    found: tuple[Any, str] = (None, "")
    current: FrameType | None = frame
    while current is not None and current.f_code.co_filename in (_GRAD_MODE, __file__):
        if current.f_code.co_filename == _GRAD_MODE:
            found = (current.f_locals.get("self"), current.f_code.co_name)
        current = current.f_back
    return found
