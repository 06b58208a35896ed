"""Runs a job in a child process and brings back how it ended. Never imports torch, and never runs the user's code itself.

The program's own output goes to our standard error, its standard input is ours. On POSIX the child leads a session of its own, so that
whatever it started (DataLoader workers, `torchrun` ranks) is gone when this returns.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from gradflow.capture.inputs import InputSpec
from gradflow.capture.job import Ending, Job, Way, read, write_atomically
from gradflow.capture.target import Form, TargetSpec
from gradflow.errors import TargetCrashed
from gradflow.graph.recording import Target

GRACE = 10.0
"""Seconds that a child has to write what it has seen, once time is up."""

_POSIX = os.name == "posix"

_BOOT = """
import sys
if not getattr(sys.flags, "safe_path", False): sys.path.pop(0)
import importlib, typing
sys.path.insert(0, sys.argv[1]); import gradflow; sys.path.pop(0)
from gradflow.capture.child import main
main(sys.argv[2], int(sys.argv[3]))
"""
"""The working directory is off the path while gradflow is loaded: a `types.py` of the user's must not reach it. `import gradflow` finds the
same gradflow as the parent's, wherever that lies; its parts are then found through the package itself."""

_QUIET_ENVIRONMENT = {"TORCHDYNAMO_DISABLE": "1", "MPLBACKEND": "Agg", "WANDB_MODE": "disabled"}
"""What compiles code away from under the hooks, opens windows or reports runs to a service, unless the user has set it."""


def run_target(
    spec: TargetSpec,
    target: Target,
    *,
    steps: int,
    timeout: float,
    inputs: tuple[InputSpec, ...] = (),
    loss: str = "",
    quiet: bool = False,
) -> Ending:
    """How the audit of the target in a child process ended.

    Args:
        timeout: seconds after which the child has to say what it has seen; none of its processes outlives this call.
        quiet: the program's own output goes nowhere.

    Raises:
        TargetCrashed: the file is no valid Python; nothing was run then.
    """
    if spec.form in (Form.FILE, Form.FILE_ATTRIBUTE):
        check_syntax(spec.place)
    with tempfile.TemporaryDirectory(prefix="gradflow-", ignore_cleanup_errors=True) as folder:
        ending, job_file, spare = (os.path.join(folder, name) for name in ("ending", "job", "saves"))
        os.mkdir(spare)
        write_atomically(job_file, Job(spec, target, steps, inputs, loss, ending, spare))
        with _started(job_file, quiet) as (child, wire):
            reason = _wait(child, wire, timeout)
        return _read_ending(ending, child.returncode, reason, timeout)


def check_syntax(place: str) -> None:
    """Returns if the file is valid Python for this interpreter.

    Raises:
        TargetCrashed: with Python's own message, as a run of the file would print it.
    """
    path = os.path.abspath(place)
    with warnings.catch_warnings():
        # the child compiles it again, and there the user's warning filters hold
        warnings.simplefilter("ignore")
        try:
            compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            import traceback

            text = "".join(traceback.format_exception_only(error))
            line = f" on line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise TargetCrashed(f"`{place}` is no valid Python: {type(error).__name__}{line}", text) from None
        except OSError as error:
            raise TargetCrashed(f"`{place}` cannot be read: {error.strerror}", f"{type(error).__name__}: {error}\n") from None


@contextlib.contextmanager
def _started(job_file: str, quiet: bool) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The child and the descriptor on which it hears us; when the block ends, so does everything that the child started."""
    hears, wire = os.pipe() if _POSIX else (-1, -1)
    root = str(Path(__file__).resolve().parents[2])
    sys.stdout.flush()
    sys.stderr.flush()
    child = subprocess.Popen(
        [sys.executable, "-c", _BOOT, root, job_file, str(hears)],
        stdout=subprocess.DEVNULL if quiet else _our_stderr(),
        stderr=subprocess.DEVNULL if quiet else None,
        env={**_QUIET_ENVIRONMENT, **os.environ},
        pass_fds=(hears,) if _POSIX else (),
        start_new_session=_POSIX,
    )
    try:
        if _POSIX:
            os.close(hears)
        yield child, wire
    finally:
        _end_group(child)
        if _POSIX:
            os.close(wire)


def _our_stderr() -> int | None:
    """The descriptor of our standard error; where there is none (a notebook), the program keeps its own."""
    try:
        return sys.__stderr__.fileno() if sys.__stderr__ is not None else None
    except (OSError, ValueError):
        return None


def _wait(child: subprocess.Popen[bytes], wire: int, timeout: float) -> str:
    """Waits for the child's end, and says what cut it short: an empty string, "timeout" or "interrupt". A second Ctrl-C kills at once."""
    reason = ""
    try:
        child.wait(timeout)
        return ""
    except subprocess.TimeoutExpired:
        reason = "timeout"
    except KeyboardInterrupt:
        reason = "interrupt"
    if wire >= 0:
        with contextlib.suppress(BrokenPipeError, KeyboardInterrupt, subprocess.TimeoutExpired):
            os.write(wire, b"!")
            child.wait(GRACE)
    return reason


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Ends the child and whatever it started: politely first, so that shared memory and semaphores are given back."""
    if not _POSIX:
        child.kill()
        child.wait()
        return
    for number, patience in ((signal.SIGTERM, 0.5), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            break  # nobody is left; macOS answers EPERM for a group of zombies
        until = time.monotonic() + patience
        while time.monotonic() < until and _is_alive(child):
            time.sleep(0.01)
    child.wait()


def _is_alive(child: subprocess.Popen[bytes]) -> bool:
    child.poll()
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _read_ending(path: str, code: int, reason: str, timeout: float) -> Ending:
    """What the child left, with the reason for which it was cut short in words."""
    words = {"timeout": f"the time of {timeout:g} s ran out", "interrupt": "interrupted by Ctrl-C", "": ""}[reason]
    ending = read(path)
    if isinstance(ending, Ending):
        return Ending(ending.way, ending.recording, words, ending.traceback) if ending.way is Way.ASKED else ending
    if reason:
        return Ending(Way.ASKED, None, f"{words}, and the program did not answer,")
    if code < 0:
        return Ending(Way.LOST, None, f"the program was killed by {_signal_name(-code)}")
    return Ending(Way.LOST, None, f"the program left with exit code {code}, past all exit handlers (os._exit)")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
