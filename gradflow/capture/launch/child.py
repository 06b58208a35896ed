"""The child process: runs the user's program with the hooks in place, and leaves an `Ending` for the parent. Prints nothing itself.

However the program ends (enough steps, its last line, `sys.exit`, an exception, the parent's word that time is up), the ending is written
at once and atomically. Where gradflow ends it, that is by `os._exit`: an exception raised in the user's stack would be swallowed by a
bare `except:`, or would run a `finally: torch.save(...)`.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import NoReturn

from gradflow.capture.facts.source import show_from
from gradflow.capture.launch.job import Ending, Job, Way, read, write_atomically
from gradflow.capture.launch.leaving import ASK, PATIENCE, failure, flush, last_line
from gradflow.capture.launch.main_module import run_file, run_module
from gradflow.capture.launch.missing_package import missing_package
from gradflow.capture.launch.rank import RankSession, watch_children
from gradflow.capture.launch.surroundings import Surroundings
from gradflow.capture.launch.target import Form, relative_posix
from gradflow.capture.launch.their_traceback import format_theirs, is_ours
from gradflow.capture.training.session import Session
from gradflow.graph.recording import Recording, TargetKind


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
        self.surroundings = Surroundings(job)
        self.session: RankSession | None = None
        self._first = _thread.allocate_lock()

    def run(self, parent: int) -> None:
        """Runs the program to its end, or to where there is enough. The interpreter then ends as it would for the program itself."""
        self._listen(parent)
        show_from(self.job.folder)
        # Registered first, so that it runs last: our hooks keep alive what Python would close at the end of the program.
        atexit.register(flush)
        try:
            self.surroundings.install()
            if self.job.spec.is_attribute:
                self._conclude(self._audit_attribute())
                return
            self.session = RankSession(steps=self.job.steps, on_done=self._stop, draws=self.job.draws, focus=self.job.focus)
            self.session.install()
            self._reach_further_processes(self.session)
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
            self._leave(failure(error))
        code = self._run_program(self.session)
        if code is not None:
            raise SystemExit(code)

    def _run_program(self, session: Session) -> object:
        """Runs the program and concludes; returns the code that it gave to `sys.exit`."""
        code: object = None
        crash: BaseException | None = None
        try:
            self._run_spec()
        except SystemExit as error:
            code = error.code
        except BaseException as error:  # noqa: BLE001 - the program may raise anything
            crash = self.surroundings.explain(error)
        if os.getpid() != self.process:
            # A child that the program forked came to the end of it: it ends as it would have, and reports nothing.
            if crash is not None:
                raise crash
            return code
        _wait_for_threads()
        try:
            ending = self._end_of(session, code, crash)
        except Exception as error:  # noqa: BLE001 - a bug of ours, which the report has to say
            ending = failure(error)
        self._conclude(ending)
        return code if crash is None else 1

    def _run_spec(self) -> None:
        spec = self.job.spec
        if spec.form is Form.NOTEBOOK:
            # Imported late: only notebooks need it.
            from gradflow.capture.launch.notebook import run_notebook

            run_notebook(spec.place)
        elif spec.form is Form.MODULE:
            run_module(spec.place, spec.arguments)
        else:
            run_file(spec.place, spec.arguments)

    def _reach_further_processes(self, session: RankSession) -> None:
        """Lets the hooks into what the program starts: `torch.multiprocessing`, `torchrun` called by the program itself."""
        watch_children(self.job, session, self.surroundings)
        if self.job.injector:
            paths = [self.job.injector, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
            os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)

    def _end_of(self, session: Session, code: object, crash: BaseException | None) -> Ending:
        if crash is not None and is_ours(crash):
            return failure(crash)
        if crash is not None:
            return self._end_of_crash(session, crash)
        if code is not None and code != 0:
            return Ending(Way.EXITED, self._recording(), f"the program ended itself by sys.exit({_short(code)})")
        if session.backward_passes == 0:
            return self._end_without_backward(session)
        session.uninstall()
        return Ending(Way.ENDED, self._recording())

    def _end_without_backward(self, session: Session) -> Ending:
        """The program made no backward pass: its hook functions, else its last call, else its models and classes are audited."""
        # Imported late: it needs what only models named by attribute and hook functions need.
        from gradflow.capture.guess.target import scripted_classes
        from gradflow.capture.launch.attribute import audit_file, audit_hooks, has_models

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
        if has_models(main):
            return self._audited(lambda: audit_file(main, self.job, self.target))
        scripted = scripted_classes(main)
        if scripted:
            why = f"`{scripted[-1]}` is TorchScript, whose operations cannot be followed: set PYTORCH_JIT=0, and it is a plain module"
            return Ending(Way.REFUSED, None, why)
        return Ending(Way.REFUSED, None, "the program ran to its end and made no backward pass, so there is nothing to judge")

    def _end_of_crash(self, session: Session, crash: BaseException) -> Ending:
        """What the program raised; of a file that wants what is not here after it has defined its models, these are audited."""
        # Imported late: a program that runs to its end has no use for it.
        from gradflow.capture.launch.not_here import what_is_not_here

        text = format_theirs(crash)
        crashed = Ending(Way.CRASHED, self._recording(crash=text), missing_package(crash) or last_line(text), text)
        wanted = what_is_not_here(crash, _file_of_main())
        if not wanted or session.backward_passes or session.optimizers.seen:
            return crashed
        ending = self._end_without_backward(session)
        if ending.recording is None:
            return crashed
        audited = "the last call before that was" if ending.recording.target.kind is TargetKind.CALL else "its classes were"
        note = f"what the file itself runs {wanted} ({last_line(text)}); {audited} audited"
        return replace(ending, recording=replace(ending.recording, notes=(note, *ending.recording.notes)))

    def _audit_attribute(self) -> Ending:
        from gradflow.capture.launch.attribute import audit_attribute

        return self._audited(lambda: audit_attribute(self.job))

    def _audited(self, audit: Callable[[], Recording]) -> Ending:
        """The ending that an audit of a model gives: the user's file may raise anything in it."""
        try:
            return Ending(Way.ENDED, self._with_notes(audit()))
        except SystemExit as error:
            return Ending(Way.EXITED, None, f"the file ended itself by sys.exit({_short(error.code)}) while it was imported")
        except BaseException as error:  # noqa: BLE001 - the user's file may raise anything
            if is_ours(error):
                return failure(error)
            text = format_theirs(error)
            return Ending(Way.CRASHED, None, last_line(text), text)

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
            ending = failure(error)
        write_atomically(self.job.ending, ending)
        flush()
        os._exit(0)

    def _conclude(self, ending: Ending) -> None:
        """Writes the ending and goes on, so that the interpreter ends the program's way: its exit handlers, its open files."""
        if self._first.acquire(blocking=False):
            write_atomically(self.job.ending, ending)

    def _leave(self, ending: Ending) -> NoReturn:
        self._conclude(ending)
        flush()
        os._exit(0)

    def _recording(self, *, crash: str = "", timed_out: bool = False) -> Recording:
        assert self.session is not None
        # for `-m pkg.mod` only the running program knows its file
        target = self.target if self.target.file else replace(self.target, file=relative_posix(_file_of_main(), self.job.folder))
        return self.session.recording(target, crash=crash, timed_out=timed_out, notes=self.surroundings.notes)

    def _with_notes(self, recording: Recording) -> Recording:
        return replace(recording, notes=tuple(dict.fromkeys((*recording.notes, *self.surroundings.notes))))

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


def _wait_for_threads() -> None:
    """Python waits for these at the end of a program, and a training may run in one."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _file_of_main() -> str:
    return getattr(sys.modules["__main__"], "__file__", None) or ""


def _short(code: object) -> str:
    text = repr(code)
    return text if len(text) <= 80 else f"{text[:77]}..."
