"""A piece of the running program in a process of its own: forked here and now, it tells one value and ends. Knows nothing of torch."""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import time
import warnings
from typing import Any, NoReturn

CAN_FORK = hasattr(os, "fork")
_LEAVING = 1.0
"""Seconds that a fork has to end once it has told what it had to, or has closed the pipe."""
_HEAD = 8
"""Bytes before the value that say how long it is: processes that the fork has started may keep the pipe open."""


class Fork:
    """A process that was forked. In the process itself `is_here` is True, and `tell` ends it."""

    def __init__(self, *, speaks: bool) -> None:
        """Forks. Unless it `speaks`, what the process prints goes nowhere."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        reads, writes = os.pipe()
        with warnings.catch_warnings():
            # from Python 3.12 on: that other threads are not in the fork is what we know
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process = os.fork()
        self.is_here = not self.process
        self._pipe = writes if self.is_here else reads
        os.close(reads if self.is_here else writes)
        if self.is_here and not speaks:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)

    def tell(self, value: Any) -> NoReturn:
        """In the fork: hands `value` (which can be pickled) to the process that forked, and ends without a word to anybody else."""
        data = pickle.dumps(value)
        with os.fdopen(self._pipe, "wb") as pipe:
            pipe.write(len(data).to_bytes(_HEAD, "big") + data)
        os._exit(0)

    def result(self, seconds: float) -> tuple[Any, str]:
        """(what the fork told, or None, and then why): waits `seconds` at most, and ends it."""
        data, is_late = self._read(time.monotonic() + seconds)
        os.close(self._pipe)
        ended = self._end(time.monotonic() + (0.0 if is_late else _LEAVING))
        return (pickle.loads(data[_HEAD:]), "") if _is_whole(data) else (None, ended)

    def _read(self, until: float) -> tuple[bytes, bool]:
        """(what was told, or the beginning of it; whether time ran out)."""
        data = bytearray()
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN | select.POLLHUP)
        while not _is_whole(data):
            left = until - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return bytes(data), True
            piece = os.read(self._pipe, 1 << 20)
            if not piece:
                break
            data += piece
        return bytes(data), False

    def _end(self, until: float) -> str:
        """How it ended, in words; it is killed where it has not by then."""
        while True:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                break
            if time.monotonic() >= until:
                os.kill(self.process, signal.SIGKILL)
                os.waitpid(self.process, 0)
                return "its time ran out before the step had ended"
            time.sleep(0.005)
        code = os.waitstatus_to_exitcode(status)
        return f"the program was killed by {signal.Signals(-code).name}" if code < 0 else f"the program left with exit code {code}"


def _is_whole(data: bytes | bytearray) -> bool:
    return len(data) >= _HEAD and len(data) >= _HEAD + int.from_bytes(data[:_HEAD], "big")
