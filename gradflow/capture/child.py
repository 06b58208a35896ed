"""The child process: runs the user's program with the hooks in place, and leaves an `Ending` for the parent. Prints nothing itself.

However the program ends (enough steps, its last line, `sys.exit`, an exception, the parent's word that time is up), the ending is written
at once and atomically. Where gradflow ends it, that is by `os._exit`: an exception raised in the user's stack would be swallowed by a
bare `except:`, or would run a `finally: torch.save(...)`.
"""

from __future__ import annotations

import _thread
import atexit
import gc
import io
import os
import signal
import stat
import sys
import threading
import time
import traceback
from dataclasses import replace
from types import FrameType
from typing import Any, NoReturn

from gradflow.capture.job import Ending, Job, Way, read, write_atomically
from gradflow.capture.main_module import run_file, run_module
from gradflow.capture.save_guard import SaveGuard
from gradflow.capture.session import Session
from gradflow.capture.target import Form, relative_posix
from gradflow.capture.their_traceback import format_theirs, is_ours
from gradflow.errors import GradflowError, InvariantError, NothingToAudit
from gradflow.graph.recording import Recording, TargetKind

PATIENCE = 4.0
"""Seconds that the main thread has to answer when time is up, before the watching thread writes what there is."""

ASK = int(signal.SIGRTMAX) - 1 if hasattr(signal, "SIGRTMAX") else int(getattr(signal, "SIGUSR2", 0))
"""The signal that makes the main thread write: a real-time one where there are any, since programs use SIGUSR1 and SIGUSR2 themselves."""


def main(job_file: str, parent: int) -> None:
    """Does the job in `job_file`. `parent` is a descriptor: a byte on it asks for the ending, its end says that the parent is gone."""
    job: Job = read(job_file)
    Child(job).run(parent)


class Child:
    """One job. Only the process and the thread that come first may write the ending."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.target = job.target
        self.process = os.getpid()
        self.guard = SaveGuard(job.spare)
        self.session: Session | None = None
        self._first = _thread.allocate_lock()

    def run(self, parent: int) -> None:
        """Runs the program to its end, or to where there is enough. The interpreter then ends as it would for the program itself."""
        self._listen(parent)
        # Registered first, so that it runs last: our hooks keep alive what Python would close at the end of the program.
        atexit.register(_flush)
        try:
            self.guard.install()
            if self.job.spec.is_attribute:
                self._conclude(self._audit_attribute())
                return
            self.session = Session(steps=self.job.steps, on_done=self._stop)
            self.session.install()
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
            self._leave(_failure(error))
        os.register_at_fork(after_in_child=self._forget)
        code = self._run_program(self.session)
        if code is not None:
            raise SystemExit(code)

    def _run_program(self, session: Session) -> object:
        """Runs the program and concludes; returns the code that it gave to `sys.exit`."""
        code: object = None
        crash: BaseException | None = None
        run = run_module if self.job.spec.form is Form.MODULE else run_file
        try:
            run(self.job.spec.place, self.job.spec.arguments)
        except SystemExit as error:
            code = error.code
        except BaseException as error:  # noqa: BLE001 - the program may raise anything
            crash = error
        if os.getpid() != self.process:
            # A child that the program forked came to the end of it: it ends as it would have, and reports nothing.
            if crash is not None:
                raise crash
            return code
        _wait_for_threads()
        try:
            ending = self._end_of(session, code, crash)
        except Exception as error:  # noqa: BLE001 - a bug of ours, which the report has to say
            ending = _failure(error)
        self._conclude(ending)
        return code if crash is None else 1

    def _end_of(self, session: Session, code: object, crash: BaseException | None) -> Ending:
        if crash is not None and is_ours(crash):
            return _failure(crash)
        if crash is not None:
            text = format_theirs(crash)
            return Ending(Way.CRASHED, self._recording(crash=text), _last_line(text), text)
        if code is not None and code != 0:
            return Ending(Way.EXITED, self._recording(), f"the program ended itself by sys.exit({_short(code)})")
        if session.backward_passes == 0:
            return self._end_without_backward(session)
        session.uninstall()
        return Ending(Way.ENDED, self._recording())

    def _end_without_backward(self, session: Session) -> Ending:
        """The program made no backward pass: its own hook functions, else the last call that it made, are audited instead."""
        # Imported late: it needs what only models named by attribute and hook functions need.
        from gradflow.capture.attribute import audit_hooks, command_for_class

        main = sys.modules["__main__"]
        if hasattr(main, "gradflow_model"):
            session.uninstall()
            target = replace(self.target, kind=TargetKind.MODULE)
            return Ending(Way.ENDED, self._with_notes(audit_hooks(main, self.job, target)))
        if session.passes.functional:
            session.uninstall()
            return Ending(Way.ENDED, self._recording())
        self.target = replace(self.target, kind=TargetKind.CALL)
        if session.audit_last_call():
            session.uninstall()
            return Ending(Way.ENDED, self._recording())
        self.target = replace(self.target, kind=self.job.target.kind)
        session.uninstall()
        if session.class_names:
            command = command_for_class(main, session.class_names[-1], self.job.spec)
            found = f"it defines {', '.join(session.class_names)}, but calls no model and runs no backward pass"
            return Ending(Way.REFUSED, None, f"{found}; to audit the class, with sizes of your own: {command}")
        return Ending(Way.REFUSED, None, "the program ran to its end and made no backward pass, so there is nothing to judge")

    def _audit_attribute(self) -> Ending:
        from gradflow.capture.attribute import audit_attribute

        try:
            return Ending(Way.ENDED, self._with_notes(audit_attribute(self.job)))
        except SystemExit as error:
            return Ending(Way.EXITED, None, f"the file ended itself by sys.exit({_short(error.code)}) while it was imported")
        except BaseException as error:  # noqa: BLE001 - the user's file may raise anything
            if is_ours(error):
                return _failure(error)
            text = format_theirs(error)
            return Ending(Way.CRASHED, None, _last_line(text), text)

    def _stop(self) -> None:
        """Enough was seen. Called by the session, in the user's own stack; does not return in the process that is audited."""
        if os.getpid() == self.process and self._first.acquire(blocking=False):
            self._write_and_exit(Way.STOPPED)

    def _stop_when_asked(self, number: int = 0, frame: FrameType | None = None) -> None:
        if os.getpid() == self.process and self._first.acquire(blocking=False):
            self._write_and_exit(Way.ASKED)

    def _write_and_exit(self, way: Way) -> NoReturn:
        try:
            recording = self._recording(timed_out=way is Way.ASKED) if self.session is not None else None
            ending = Ending(way, recording)
        except Exception as error:  # noqa: BLE001 - a bug of ours, which the report has to say
            ending = _failure(error)
        write_atomically(self.job.ending, ending)
        _flush()
        os._exit(0)

    def _conclude(self, ending: Ending) -> None:
        """Writes the ending and goes on, so that the interpreter ends the program's way: its exit handlers, its open files."""
        if self._first.acquire(blocking=False):
            write_atomically(self.job.ending, ending)

    def _leave(self, ending: Ending) -> NoReturn:
        self._conclude(ending)
        _flush()
        os._exit(0)

    def _recording(self, *, crash: str = "", timed_out: bool = False) -> Recording:
        assert self.session is not None
        # for `-m pkg.mod` only the running program knows its file
        target = self.target if self.target.file else replace(self.target, file=_file_of_main())
        return self.session.recording(target, crash=crash, timed_out=timed_out, notes=self.guard.notes)

    def _with_notes(self, recording: Recording) -> Recording:
        return replace(recording, notes=(*recording.notes, *self.guard.notes))

    def _forget(self) -> None:
        """In a process that the program forked (a DataLoader's worker): no hooks, and nothing to report."""
        if self.session is not None:
            self.session.uninstall()

    def _listen(self, parent: int) -> None:
        if parent < 0:
            return
        signal.signal(ASK, self._stop_when_asked)
        # Not `threading.Thread`: the program may count its threads, and `Thread.run` is hooked.
        _thread.start_new_thread(self._obey, (parent,))

    def _obey(self, parent: int) -> None:
        """Waits for the parent's word. A main thread that is deep in C code cannot answer, so this thread does it in the end."""
        word = os.read(parent, 1)
        if not word:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        signal.pthread_kill(threading.main_thread().ident or 0, ASK)
        time.sleep(PATIENCE)
        self._stop_when_asked()


def _failure(error: BaseException) -> Ending:
    """The ending for an error of gradflow's: a sentence for the user where it is one, else a bug with its whole traceback."""
    if isinstance(error, GradflowError) and not isinstance(error, InvariantError):
        return Ending(Way.REFUSED if isinstance(error, NothingToAudit) else Way.USAGE, None, str(error))
    return Ending(Way.BUG, None, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def _wait_for_threads() -> None:
    """Python waits for these at the end of a program, and a training may run in one."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


_FILES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def _flush() -> None:
    """Writes out what the program has written to its streams and open files; pipes are left, since nobody may be reading them."""
    streams = [stream for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if stream is not None]
    files = [value for value in gc.get_objects() if type(value) in _FILES and _is_regular(value)]
    # text before bytes: the first hands its buffer down to the second
    for stream in (*streams, *sorted(files, key=lambda value: _FILES.index(type(value)))):
        try:
            stream.flush()
        except (OSError, ValueError, RuntimeError):
            continue  # closed by the program, nobody reads it any more, or it is being written to at this moment


def _is_regular(file: Any) -> bool:
    try:
        return not file.closed and stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _file_of_main() -> str:
    return relative_posix(getattr(sys.modules["__main__"], "__file__", None) or "")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line and not line.startswith(" ")]
    return lines[-1] if lines else "unknown error"


def _short(code: object) -> str:
    text = repr(code)
    return text if len(text) <= 80 else f"{text[:77]}..."
