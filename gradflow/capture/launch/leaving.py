"""How a watched process ends: on gradflow's word, by an error of ours or the program's, and with everything written out."""

from __future__ import annotations

import gc
import io
import os
import signal
import stat
import sys
import traceback
from typing import Any

from gradflow.capture.launch.job import Ending, Way
from gradflow.errors import REMARK, GradflowError, InvariantError, NothingToAudit

PATIENCE = 4.0
"""Seconds that the main thread has to answer when time is up, before the watching thread writes what there is."""

ASK = int(signal.SIGRTMAX) - 1 if hasattr(signal, "SIGRTMAX") else int(getattr(signal, "SIGUSR2", 0))
"""The signal that makes the main thread write: a real-time one where there are any, since programs use SIGUSR1 and SIGUSR2 themselves."""


def failure(error: BaseException) -> Ending:
    """The ending for an error of gradflow's: a sentence for the user where it is one, else a bug with its whole traceback."""
    if isinstance(error, GradflowError) and not isinstance(error, InvariantError):
        return Ending(Way.REFUSED if isinstance(error, NothingToAudit) else Way.USAGE, None, str(error))
    return Ending(Way.BUG, None, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


_FILES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def flush() -> None:
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


def last_line(text: str) -> str:
    """The line of a traceback that names the error."""
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", REMARK))]
    return lines[-1] if lines else "unknown error"
