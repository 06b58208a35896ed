"""One try of the user's code: quiet, limited in time, and with what is needed to mend it when it fails.

Only the main thread of a POSIX process can be interrupted; elsewhere a try takes as long as it takes.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import re
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any

import torch

from gradflow.capture.guess.descriptors import no_open_files_by_number
from gradflow.capture.guess.unfetched import note_left_out, without_weights

_CUDA = re.compile(r"not compiled with CUDA|No CUDA GPUs|no NVIDIA driver|CUDA is not available|Cannot access accelerator device|libcuda")
_NETWORK = re.compile(
    r"URLError|ConnectionError|ConnectTimeout|MaxRetryError|LocalEntryNotFound|OfflineMode|couldn't connect|offline mode"
    r"|Name or service not known|Temporary failure in name resolution|Network is unreachable"
    r"|NewConnectionError|HTTPError|RemoteDisconnected|connection error"
)


class TooSlow(Exception):
    """A try that took longer than it may."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One frame of a failed try: the function, its source from the first to the last line of the expression, and its variables."""

    function: str
    file: str
    line: int
    text: str
    variables: dict[str, Any] = field(repr=False)
    scope: dict[str, Any] = field(repr=False)

    def above(self, most: int) -> Iterator[str]:
        """The lines of the file before this one, the nearest first, from less than `most` lines away."""
        return (linecache.getline(self.file, number) for number in range(self.line - 1, max(0, self.line - most), -1))


@dataclass(frozen=True, slots=True)
class Leaf:
    """The innermost layer that was running: the layer and the sizes and dtypes of the tensors that it was given."""

    layer: torch.nn.Module
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[torch.dtype, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """What is worth knowing of a failure later on. It holds none of the tensors that were there when it was raised."""

    message: str
    place: tuple[str, str, int, int]


@dataclass(frozen=True, slots=True)
class Failure:
    """What a try raised, from the outermost frame of the user's to the innermost. `layers_done`: how many had come to their end."""

    error: BaseException
    spots: tuple[Spot, ...]
    leaf: Leaf | None = None
    layers_done: int = 0

    @property
    def message(self) -> str:
        """What the error says."""
        return str(self.error)

    @property
    def own(self) -> tuple[Spot, ...]:
        """The frames outside of torch, outermost first."""
        return tuple(spot for spot in self.spots if f"{os.sep}torch{os.sep}" not in spot.file)

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Where it was raised: the kind of error, the innermost line, and a number for the lines above it and the layer that was
        running. Two tries that fail in one place have got equally far, whatever the numbers in their messages."""
        at = (self.own[-1].file, self.own[-1].line) if self.own else ("", 0)
        way = (*(spot.line for spot in self.own), id(self.leaf.layer) if self.leaf is not None else 0)
        return (type(self.error).__name__, *at, hash(way))

    @property
    def past(self) -> Past:
        """Its message and its place alone."""
        return Past(self.message, self.place)

    @property
    def is_final(self) -> bool:
        """Whether no other argument would help: it wants a device or a network that is not there."""
        return bool(self._wanted)

    @property
    def _wanted(self) -> str:
        line = f" (line {self.own[-1].line})" if self.own else ""
        if needs_cuda(self.error):
            return f"it needs CUDA{line}, which is not to be had here"
        if needs_network(self.error):
            return f"it fetches weights{line}, and there is no network"
        return ""

    @property
    def sentence(self) -> str:
        """The error in one short line."""
        if self._wanted:
            return self._wanted
        first = next(iter(self.message.strip().splitlines()), "")
        return f"{type(self.error).__name__}: {first[:160]}" if first else type(self.error).__name__


def needs_cuda(error: BaseException) -> bool:
    """Whether the error says that there is no GPU."""
    return _CUDA.search(str(error)) is not None


def needs_network(error: BaseException) -> bool:
    """Whether the error says that something could not be fetched."""
    return _NETWORK.search(f"{type(error).__name__}: {error}") is not None


def attempt(make: Callable[[], Any], seconds: float) -> tuple[Any, Failure | None]:
    """(what `make` returned, None), or (None, how it failed). Its output and warnings are dropped, weights
    that it would fetch are left out; Ctrl-C passes through."""
    leaves = _Leaves()
    try:
        with _quiet(), _limited(seconds), no_open_files_by_number(), leaves, without_weights() as left_out:
            made = make()
        note_left_out(made, left_out)
        return made, None
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001 - the user's code may raise anything, SystemExit included
        return None, Failure(error, tuple(_spots(error.__traceback__)), leaves.innermost(), leaves.done)


class _Leaves:
    """Notes the layer that is running, and what it was given."""

    def __init__(self) -> None:
        self._open: list[Leaf] = []
        self.done = 0

    def __enter__(self) -> None:
        enter, leave = torch.nn.modules.module.register_module_forward_pre_hook, torch.nn.modules.module.register_module_forward_hook
        self._handles = [enter(self._entered), leave(self._left)]

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def innermost(self) -> Leaf | None:
        return self._open[-1] if self._open else None

    def _entered(self, layer: torch.nn.Module, args: tuple[Any, ...]) -> None:
        tensors = [value for value in args if isinstance(value, torch.Tensor)]
        shapes, dtypes = tuple(tuple(value.shape) for value in tensors), tuple(value.dtype for value in tensors)
        self._open.append(Leaf(layer, shapes, dtypes))

    def _left(self, layer: torch.nn.Module, args: Any, output: Any) -> None:
        self.done += 1
        if self._open:
            self._open.pop()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"it took longer than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _spots(trace: TracebackType | None) -> Iterator[Spot]:
    """The frames of the user's code and of what it calls, outermost first, without gradflow's own."""
    frames = list(traceback.walk_tb(trace))
    for (frame, _), summary in zip(frames, traceback.extract_tb(trace), strict=True):
        if frame.f_globals.get("__name__", "").startswith("gradflow."):
            continue
        first, last = summary.lineno or 0, getattr(summary, "end_lineno", None) or summary.lineno or 0
        text = "".join(linecache.getline(summary.filename, number) for number in range(first, last + 1))
        yield Spot(summary.name, summary.filename, first, text, dict(frame.f_locals), frame.f_globals)
