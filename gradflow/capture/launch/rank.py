"""One of several processes of a program (a rank of `torchrun`, a child of `torch.multiprocessing`): watches its training and reports it.

A process that has seen enough writes its recording and waits a moment for the others, since it cannot leave: they may need it for a
collective. If they need longer, it trains on unwatched. gradflow ends them all together, by closing a pipe that each of them listens to.
"""

from __future__ import annotations

import _thread
import atexit
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import torch

from gradflow.capture.facts.source import show_from
from gradflow.capture.launch.job import Ending, Job, Way, read, write_atomically
from gradflow.capture.launch.leaving import ASK, PATIENCE, failure, flush, last_line
from gradflow.capture.launch.surroundings import Surroundings
from gradflow.capture.launch.their_traceback import format_theirs, is_ours
from gradflow.capture.training.passes import Pass
from gradflow.capture.training.session import Session
from gradflow.graph.recording import Recording

MOMENT = 3.0
"""Seconds for which a process that has seen enough waits for the others."""


def begin(job_file: str) -> None:
    """Watches this process, which has just imported torch."""
    job: Job = read(job_file)
    if job is not None:
        Rank(job).begin()


class RankSession(Session):
    """A session that says when its process makes its first backward pass, and that a forked process can take over."""

    on_first_pass: Callable[[], None] | None = None

    def take_over(self, on_done: Callable[[], None], on_first_pass: Callable[[], None]) -> None:
        """In a forked process: what the parent built is known, and this process decides for itself when enough was seen."""
        self._pid = os.getpid()
        self._done = False
        self._on_done = on_done
        self.on_first_pass = on_first_pass

    def _passed(self, entry: Pass) -> None:
        if self.on_first_pass is not None and os.getpid() == self._pid:
            told, self.on_first_pass = self.on_first_pass, None
            told()
        super()._passed(entry)


class Rank:
    """This process among those of the program. Reports only if it trains."""

    def __init__(self, job: Job, session: RankSession | None = None, surroundings: Surroundings | None = None) -> None:
        self.job = job
        self.process = os.getpid()
        self.surroundings = surroundings or Surroundings(job)
        self.session = session or RankSession(steps=job.steps, draws=job.draws, focus=job.focus)
        self._trains = False
        self._main_answers = False
        self._is_asked = False
        self._first = _thread.allocate_lock()

    def begin(self) -> None:
        """Puts the hooks in place in a process that the program started anew."""
        self.surroundings.install()
        show_from(self.job.folder)
        self.session.take_over(self._enough, self._mark)
        self.session.install()
        watch_children(self.job, self.session, self.surroundings)
        self._listen()
        atexit.register(self.end)

    def take_over(self) -> None:
        """Goes on in a process that was forked with the hooks in place."""
        self.session.take_over(self._enough, self._mark)
        self._listen()

    def end(self) -> None:
        """Reports what was seen by the end of the process, if it trained or crashed, and has not reported yet."""
        crash = getattr(sys, "last_value", None)
        if (
            os.getpid() != self.process
            or self._is_asked
            or not (self._trains or self.session.passes.functional or isinstance(crash, Exception))
        ):
            return
        if isinstance(crash, Exception) and is_ours(crash):
            if self._has_the_word():
                self._write(failure(crash))
            return
        text = format_theirs(crash) if isinstance(crash, Exception) else ""
        self._report(Way.CRASHED if text else Way.ENDED, text)

    def _mark(self) -> None:
        self._trains = True
        self._place("begun").touch()

    def _enough(self) -> None:
        self._report(Way.STOPPED)
        self.session.pause()
        time.sleep(MOMENT)

    def _report(self, way: Way, crash: str = "") -> None:
        if not self._has_the_word():
            return
        try:
            ending = Ending(way, self._recording(way, crash), last_line(crash) if crash else "", crash)
        except Exception as error:  # noqa: BLE001 - a bug of ours, which the report has to say
            ending = failure(error)
        self._write(ending)

    def _has_the_word(self) -> bool:
        """True once: whoever comes first reports, and nobody in a process that was forked from this one."""
        return os.getpid() == self.process and self._first.acquire(blocking=False)

    def _write(self, ending: Ending) -> None:
        rank, world = _rank()
        write_atomically(str(self._place(f"{rank}.{world}.ending")), ending)

    def _recording(self, way: Way, crash: str) -> Recording | None:
        if not self._trains and not self.session.passes.functional:
            return None
        notes = self.surroundings.notes
        return self.session.recording(self.job.target, crash=crash, timed_out=way is Way.ASKED, notes=notes)

    def _place(self, suffix: str) -> Path:
        return Path(self.job.ranks, f"{self.process}.{suffix}")

    def _listen(self) -> None:
        if os.name != "posix":
            return
        # torch may be imported by another thread than the main one; then the listening thread will answer
        self._main_answers = threading.current_thread() is threading.main_thread()
        if self._main_answers:
            signal.signal(ASK, self._answer)
        # Not `threading.Thread`: the program may count its threads, and `Thread.run` is hooked.
        _thread.start_new_thread(self._obey, ())

    def _obey(self) -> None:
        """Waits for gradflow's word: to report what there is, and to leave. Both also where gradflow itself is gone."""
        try:
            pipes = {name: os.open(os.path.join(self.job.ranks, name), os.O_RDONLY | os.O_NONBLOCK) for name in ("ask", "leave")}
        except OSError:
            os._exit(0)  # gradflow is gone, and with it everything that this process could report to
        poll = select.poll()
        for pipe in pipes.values():
            poll.register(pipe, 0)
        while True:
            closed = {pipe for pipe, _ in poll.poll()}
            self._is_asked = True
            if pipes["leave"] in closed:
                self._leave()
            poll.unregister(pipes["ask"])
            if self._main_answers:
                signal.pthread_kill(threading.main_thread().ident or 0, ASK)
            _thread.start_new_thread(self._answer_late, ())

    def _answer(self, number: int = 0, frame: FrameType | None = None) -> None:
        if self._trains:
            self._report(Way.ASKED)

    def _answer_late(self) -> None:
        """For a main thread that is deep in C code, as one that waits for another rank is."""
        time.sleep(PATIENCE)
        self._answer()

    def _leave(self) -> NoReturn:
        if not self._trains:
            # Not a process that trains, but one that waits for those that do (`torchrun` itself): it may end in its own way first.
            time.sleep(MOMENT)
        for child in multiprocessing.active_children():
            child.terminate()
        flush()
        os._exit(0)


def watch_children(job: Job, session: RankSession, surroundings: Surroundings) -> None:
    """Takes care of the processes that this one forks, and of what `multiprocessing` runs in it.

    A worker of a DataLoader and a process forked by hand have no hooks; a child of `multiprocessing` is watched as a rank of its own.
    """
    process = os.getpid()
    original = BaseProcess._bootstrap  # type: ignore[attr-defined]

    def forget() -> None:
        if not _forked_by_multiprocessing():
            session.uninstall()

    def bootstrap(self: BaseProcess, *args: Any, **kwargs: Any) -> Any:
        if getattr(getattr(self, "_target", None), "__module__", "").startswith("torch.utils.data."):
            session.uninstall()
            return original(self, *args, **kwargs)
        if os.getpid() == process:
            return original(self, *args, **kwargs)
        rank = Rank(job, session, surroundings)
        rank.take_over()
        try:
            return original(self, *args, **kwargs)
        finally:
            rank.end()

    os.register_at_fork(after_in_child=forget)
    BaseProcess._bootstrap = bootstrap  # type: ignore[attr-defined]


def _forked_by_multiprocessing() -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") in ("multiprocessing.popen_fork", "multiprocessing.forkserver"):
            return True
        frame = frame.f_back
    return False


def _rank() -> tuple[int, int]:
    """(rank, number of ranks) of this process: of torch.distributed, else its number among its parent's children."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    identity = multiprocessing.current_process()._identity
    return (identity[-1] - 1 if identity else 0), 1
