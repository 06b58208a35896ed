"""The child process of `gradflow freeze`: runs the program to the step in question, or loads the model, and leaves the comparison."""

from __future__ import annotations

import atexit
import os
import time
from typing import NoReturn

from gradflow.capture.freezing import freeze_target
from gradflow.capture.launch.child import Child
from gradflow.capture.launch.freeze_run import CannotFork, FreezeRun
from gradflow.capture.launch.job import Ending, Job, Way, read
from gradflow.capture.launch.leaving import failure, flush, last_line
from gradflow.capture.launch.their_traceback import format_theirs, is_ours
from gradflow.errors import TargetCrashed
from gradflow.graph.freezing import FreezeComparison, FreezeWay

_SHARE = 0.9
"""Of the time given, so much is for measuring; the rest is for starting, and for telling what there is."""


def main(job_file: str, parent: int) -> None:
    """Does the job in `job_file`; `parent` as in `child.main`."""
    job: Job = read(job_file)
    FreezeChild(job).run(parent)


class FreezeChild(Child):
    """One job with layers to freeze."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.frozen = FreezeRun(
            job.layers, job.steps, time.monotonic() + _SHARE * job.seconds, self._done, FreezeWay(job.way) if job.way else None
        )

    def run(self, parent: int) -> None:
        """Runs the program up to the step, or to its end if that does not come."""
        self._listen(parent)
        atexit.register(flush)
        try:
            self.surroundings.install()
            if self.job.spec.is_attribute:
                self._conclude(self._measured_attribute())
                return
            self.frozen.install()
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
            self._leave(failure(error))
        code, crash = self._run_to_end()
        if self.frozen.frozen is not None:
            self.frozen.frozen.program_ends(crash, "" if crash is None else format_theirs(crash))
        self._conclude(self._end_without_step(code, crash))
        if crash is not None or code is not None:
            raise SystemExit(code if crash is None else 1)

    def _run_to_end(self) -> tuple[object, BaseException | None]:
        """(what it gave to `sys.exit`, what it raised)."""
        try:
            self._run_spec()
        except SystemExit as error:
            return error.code, None
        except BaseException as error:  # noqa: BLE001 - the program may raise anything
            return None, error
        return None, None

    def _measured_attribute(self) -> Ending:
        job = self.job
        try:
            found = freeze_target(job)
        except TargetCrashed as error:
            return _crashed(error)
        except Exception as error:  # noqa: BLE001 - as in `run`
            return failure(error)
        return Ending(Way.ENDED, frozen=found)

    def _end_without_step(self, code: object, crash: BaseException | None) -> Ending:
        if crash is not None and is_ours(crash):
            return failure(crash)
        if crash is not None:
            text = format_theirs(crash)
            return Ending(Way.CRASHED, None, last_line(text), text)
        if code is not None and code != 0:
            return Ending(Way.EXITED, None, f"the program ended itself by sys.exit({code!r}) before its step could be taken")
        return Ending(Way.REFUSED, None, self.frozen.why_not)

    def _done(self, found: FreezeComparison | Exception) -> NoReturn:
        """The comparison is there, or will never be. The program goes no further."""
        if isinstance(found, CannotFork):
            self._leave(Ending(Way.REFUSED, alone=str(found)))
        if isinstance(found, TargetCrashed):
            self._leave(_crashed(found))
        if isinstance(found, Exception):
            self._leave(failure(found))
        self._leave(Ending(Way.STOPPED, frozen=found))

    def _leave(self, ending: Ending) -> NoReturn:
        if os.getpid() != self.process:
            os._exit(1)
        super()._leave(ending)


def _crashed(error: TargetCrashed) -> Ending:
    return Ending(Way.CRASHED, None, str(error), error.traceback)
