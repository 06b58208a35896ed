"""A process that has torch imported and forks a child for each job: a hundred files pay for the import once.

It runs no torch operation and starts no thread before it forks, so that a fork is safe; the user's files run in the children alone. Needs
Linux; elsewhere each job starts a Python of its own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

IS_POSSIBLE = sys.platform.startswith("linux") and hasattr(os, "pidfd_open") and hasattr(socket, "send_fds")

_LONGEST = 4096  # bytes of one message
_LOST = {"code": -9}  # what is said of a child whose warm process is gone
_BOOT = """
import sys
if not getattr(sys.flags, "safe_path", False): sys.path.pop(0)
import importlib, typing
sys.path.insert(0, sys.argv[1]); import gradflow; sys.path.pop(0)
from gradflow.capture.launch.warm import serve
child = serve(int(sys.argv[2]))
if child is not None:
    from gradflow.capture.launch.boot import boot
    boot(*child)
"""


class WarmChild:
    """One forked child, with what is used of `subprocess.Popen`."""

    def __init__(self) -> None:
        self.pid = 0
        self.returncode = 0
        self._started = threading.Event()
        self._ended = threading.Event()

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self.returncode if self._ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises `subprocess.TimeoutExpired` like a Popen."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("gradflow", timeout or 0.0)
        return self.returncode

    def kill(self) -> None:
        """Ends it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def hear(self, message: Mapping[str, int]) -> None:
        """Notes what the warm process says of it."""
        if "pid" in message:
            self.pid = message["pid"]
            self._started.set()
        if "code" in message:
            self.returncode = message["code"]
            self._ended.set()
            self._started.set()

    def wait_for_start(self) -> None:
        """Returns when its process is there."""
        self._started.wait()


class Warm:
    """The parent's hold on the warm process; a context manager. `start` may be called from several threads."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._children: dict[int, WarmChild] = {}
        self._lock = threading.Lock()
        self._dead = False

    def __enter__(self) -> Warm:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [sys.executable, "-c", _BOOT, str(Path(__file__).resolve().parents[3]), str(theirs.fileno())]
        self._process = subprocess.Popen(
            words, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, env=self._environment, start_new_session=True
        )
        theirs.close()
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self._process.kill()
        self._process.wait()

    def start(self, main: str, job_file: str, hears: int, out: int, error: int) -> WarmChild:
        """A child that hands the job to module `main`; it hears us on `hears` and writes to `out` and `error` (descriptors)."""
        child = WarmChild()
        with self._lock:
            number = len(self._children)
            self._children[number] = child
            if self._dead:
                child.hear(_LOST)
            text = json.dumps({"number": number, "main": main, "job": job_file}).encode()
            # where nobody is there to read it, the listening thread ends the child
            with contextlib.suppress(OSError):
                socket.send_fds(self._socket, [text], [hears, out, error])
        child.wait_for_start()
        return child

    def _listen(self) -> None:
        """Hands on what the warm process says. Where it dies, so have its children: each ends with a code that tells of a signal."""
        while True:
            try:
                text = self._socket.recv(_LONGEST)
            except OSError:
                text = b""
            if not text:
                break
            message = json.loads(text)
            self._children[message.pop("number")].hear(message)
        with self._lock:
            self._dead = True
            for child in self._children.values():
                if child.poll() is None:
                    child.hear(_LOST)


def serve(descriptor: int) -> tuple[str, str, str] | None:
    """Runs in the warm process: forks a child for each job that comes, until nobody is there to send one (None).

    In a child it returns at once, with the words for `boot`: so the child's stack is that of a process of its own.
    """
    # what every job needs; an import that fails is told by each child's own `boot`
    with contextlib.suppress(ImportError):
        import gradflow.capture.launch.attribute
        import gradflow.capture.launch.child  # noqa: F401
    # what is here stays: no child's collector has to walk it, which would copy its memory
    gc.collect()
    gc.freeze()
    requests = socket.socket(fileno=descriptor)
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not requests:
                    _reap(selector, requests, key)
                    continue
                text, descriptors, _, _ = socket.recv_fds(requests, _LONGEST, 3)
                if not text:
                    return None
                order = json.loads(text)
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    requests.detach()
                    os.close(descriptor)
                    return order["main"], order["job"], str(_settle(descriptors))
                for number in descriptors:
                    os.close(number)
                _say(requests, number=order["number"], pid=pid)
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (order["number"], pid))


def _settle(descriptors: list[int]) -> int:
    """Makes the forked process the leader of a group of its own, with the output that it was given; returns where it hears the parent."""
    hears, out, error = descriptors
    os.setsid()
    os.dup2(out, 1)
    os.dup2(error, 2)
    for number in (out, error):
        os.close(number)
    return hears


def _reap(selector: selectors.BaseSelector, requests: socket.socket, key: selectors.SelectorKey) -> None:
    number, pid = key.data
    selector.unregister(key.fileobj)
    os.close(key.fd)
    _, status = os.waitpid(pid, 0)
    _say(requests, number=number, code=os.waitstatus_to_exitcode(status))


def _say(requests: socket.socket, **message: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        requests.send(json.dumps(message).encode())


@contextlib.contextmanager
def warmed(environment: Mapping[str, str], *, wanted: bool) -> Iterator[Warm | None]:
    """A warm process where it is wanted and possible, else None."""
    if wanted and IS_POSSIBLE:
        with Warm(environment) as warm:
            yield warm
    else:
        yield None
