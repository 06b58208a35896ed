"""Runs a job in a child process and brings back how it ended. Never imports torch, and never runs the user's code itself.

The program's own output goes to our standard error, its standard input is ours. On POSIX the child leads a session of its own, so that
whatever it started (DataLoader workers, `torchrun` ranks) is gone when this returns.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gradflow.capture.launch.injected import sitecustomize
from gradflow.capture.launch.inputs import InputSpec
from gradflow.capture.launch.job import Ending, Job, Way, read, write_atomically
from gradflow.capture.launch.memory import held_by
from gradflow.capture.launch.notebook import read_cells
from gradflow.capture.launch.rank_reports import RankEnding, RankReports
from gradflow.capture.launch.scale import AS_IT_IS, Scale
from gradflow.capture.launch.target import Form, TargetSpec, program_path
from gradflow.capture.launch.warm import Warm, WarmChild
from gradflow.errors import TargetCrashed
from gradflow.graph.recording import RankRecording, Target, TargetKind

GRACE = 10.0
"""Seconds that a child has to write what it has seen, once time is up."""

LEAVING = 2.0
"""Seconds that a command has to end by itself, once the processes that it started have left."""

_POSIX = os.name == "posix"

_BOOT = """
import sys
if not getattr(sys.flags, "safe_path", False): sys.path.pop(0)
import importlib, typing
sys.path.insert(0, sys.argv[1]); import gradflow; sys.path.pop(0)
from gradflow.capture.launch.boot import boot
boot(*sys.argv[2:])
"""
"""The working directory is off the path while gradflow is loaded: a `types.py` of the user's must not reach it. `import gradflow` finds the
same gradflow as the parent's, wherever that lies; its parts are then found through the package itself."""

_CHILD = "gradflow.capture.launch.child"

Process = subprocess.Popen[bytes] | WarmChild

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
    seed: int | None = None,
    compiles: bool = False,
    draws: bool = False,
    focus: tuple[str, ...] = (),
    layers: tuple[str, ...] = (),
    way: str = "",
    scale: Scale = AS_IT_IS,
    init: str = "",
    evaluates: bool = False,
    warm: Warm | None = None,
    memory: int = 0,
) -> Ending:
    """How the audit of the target in a child process ended.

    Args:
        timeout: seconds after which the child has to say what it has seen; none of its processes outlives this call.
        quiet: the program's own output goes nowhere.
        seed: of all random numbers before the program begins, None to leave them alone.
        compiles: `torch.compile` compiles, rather than handing back what it is given.
        draws: the first backward graph is drawn by torchviz, while its tensors are there.
        focus: patterns of parameters to look at more closely.
        layers: paths of modules to freeze in every way in training step `steps`, in place of an audit.
        way: the one way to freeze them, empty for all.
        scale: fake tensors, and sizes of inputs.
        init: arguments of a class, as in a call of it.
        evaluates: a model is audited in eval mode.
        warm: the process that is to fork the child; by default a Python of its own is started.
        memory: bytes that the child may hold, after which it has to say what it has seen; 0 is no limit.

    Raises:
        TargetCrashed: the file is no valid Python; nothing was run then.
        TargetError: the notebook is none.
    """
    check_syntax(spec)
    with tempfile.TemporaryDirectory(prefix="gradflow-", ignore_cleanup_errors=True) as folder:
        ending, job_file, spare, ranks, injector = (os.path.join(folder, name) for name in ("ending", "job", "saves", "ranks", "start"))
        reports = RankReports(ranks)
        os.mkdir(spare)
        os.mkdir(injector)
        Path(injector, "sitecustomize.py").write_text(sitecustomize(injector, job_file), encoding="utf-8")
        job = Job(spec, target, steps, inputs, loss, ending, spare, ranks, injector, seed, compiles, draws, focus, layers, timeout, scale)
        job = replace(job, init=init, evaluates=evaluates)
        write_atomically(job_file, replace(job, folder=os.getcwd(), way=way))
        try:
            with _started(job, job_file, quiet, warm) as (child, wire):
                reason = _wait(child, wire, timeout, reports, memory)
                reports.leave()
                if reason and spec.form is Form.COMMAND:
                    _let_leave(child, reports)
        finally:
            reports.ask()
            reports.leave()
        return _conclude(_read_ending(job, child.returncode, reason, timeout, memory), reports, reason)


def check_syntax(spec: TargetSpec) -> None:
    """Returns if the target's file is valid Python for this interpreter; of modules and commands nothing is known.

    Raises:
        TargetCrashed: with Python's own message, as a run of the file would print it.
        TargetError: the notebook is none.
    """
    if spec.form is Form.NOTEBOOK:
        for cell in read_cells(spec.place):
            _compile(cell.text, cell.name, cell.name)
    elif spec.form in (Form.FILE, Form.FILE_ATTRIBUTE):
        path = os.path.abspath(spec.place)
        try:
            source = Path(path).read_bytes()
        except OSError as error:
            raise TargetCrashed(f"`{spec.place}` cannot be read: {error.strerror}", f"{type(error).__name__}: {error}\n") from None
        _compile(source, path, spec.place)


def _compile(source: str | bytes, name: str, shown: str) -> None:
    with warnings.catch_warnings():
        # the child compiles it again, and there the user's warning filters hold
        warnings.simplefilter("ignore")
        try:
            compile(source, name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            import traceback

            text = "".join(traceback.format_exception_only(error))
            line = f" on line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise TargetCrashed(f"`{shown}` is no valid Python: {type(error).__name__}{line}", text) from None


@contextlib.contextmanager
def _started(job: Job, job_file: str, quiet: bool, warm: Warm | None) -> Iterator[tuple[Process, int]]:
    """The child and the descriptor on which it hears us; when the block ends, so does everything that the child started."""
    is_heard = _POSIX and job.spec.form is not Form.COMMAND
    hears, wire = os.pipe() if is_heard else (-1, -1)
    sys.stdout.flush()
    sys.stderr.flush()
    child: Process
    if warm is not None and is_heard:
        child = _forked(warm, job_file, hears, quiet)
    else:
        words, environment = _command(job, job_file, hears)
        child = subprocess.Popen(
            words,
            stdout=subprocess.DEVNULL if quiet else _our_stderr(),
            stderr=subprocess.DEVNULL if quiet else None,
            env=environment,
            pass_fds=(hears,) if is_heard else (),
            start_new_session=_POSIX,
        )
    try:
        if is_heard:
            os.close(hears)
        yield child, wire
    finally:
        _end_group(child)
        if is_heard:
            os.close(wire)


def _forked(warm: Warm, job_file: str, hears: int, quiet: bool) -> WarmChild:
    error = _our_stderr()
    output = os.open(os.devnull, os.O_WRONLY) if quiet or error is None else os.dup(error)
    try:
        return warm.start(_CHILD, job_file, hears, output, output)
    finally:
        os.close(output)


def environment_of(compiles: bool) -> dict[str, str]:
    """The environment of a Python that runs targets."""
    environment = {**_QUIET_ENVIRONMENT, **os.environ}
    if compiles and "TORCHDYNAMO_DISABLE" not in os.environ:
        del environment["TORCHDYNAMO_DISABLE"]
    return environment


def _command(job: Job, job_file: str, hears: int) -> tuple[list[str], dict[str, str]]:
    """The words that start the first process, and its environment. The user's own command is started as it is, with our way into it."""
    environment = environment_of(job.compiles)
    if job.spec.form is not Form.COMMAND:
        main = "gradflow.capture.launch.freeze_child" if job.layers else _CHILD
        return [sys.executable, "-c", _BOOT, str(Path(__file__).resolve().parents[3]), main, job_file, str(hears)], environment
    environment["PATH"] = program_path()
    paths = [job.injector, *environment.get("PYTHONPATH", "").split(os.pathsep)]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    program = shutil.which(job.spec.place, path=environment["PATH"]) or job.spec.place
    return [program, *job.spec.arguments], environment


def _our_stderr() -> int | None:
    """The descriptor of our standard error; where there is none (a notebook), the program keeps its own."""
    try:
        return sys.__stderr__.fileno() if sys.__stderr__ is not None else None
    except (OSError, ValueError):
        return None


def _wait(child: Process, wire: int, timeout: float, reports: RankReports, memory: int = 0) -> str:
    """Waits for the child's end, and says what cut it short: nothing, "enough", "timeout", "memory" or "interrupt".

    A second Ctrl-C kills at once.
    """
    until = time.monotonic() + timeout
    reason = ""
    try:
        while not reason:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(min(0.1, max(0.001, until - time.monotonic())))
                reports.settle(GRACE)
                return ""
            reason = "enough" if reports.complete() else "timeout" if time.monotonic() >= until else ""
            reason = reason or ("memory" if memory and held_by(child.pid) > memory else "")
    except KeyboardInterrupt:
        reason = "interrupt"
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt, subprocess.TimeoutExpired):
        reports.settle(GRACE)
        if wire >= 0:
            os.write(wire, b"!")
            child.wait(GRACE)
    return reason


def _let_leave(child: Process, reports: RankReports) -> None:
    """Waits for a command whose processes have been told to leave: it sees them go, and puts its own things in order."""
    until = time.monotonic() + GRACE
    with contextlib.suppress(KeyboardInterrupt):
        while child.poll() is None and reports.any_alive() and time.monotonic() < until:
            time.sleep(0.02)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LEAVING)


def _end_group(child: Process) -> None:
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


def _is_alive(child: Process) -> bool:
    child.poll()
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _read_ending(job: Job, code: int, reason: str, timeout: float, memory: int = 0) -> Ending:
    """What the first process left, with the reason for which it was cut short in words."""
    limits = {"timeout": f"the time of {timeout:g} s ran out", "memory": f"the memory of {memory / 2**30:.1f} GiB was used up"}
    words = {**limits, "interrupt": "interrupted by Ctrl-C"}.get(reason, "")
    ending = read(job.ending)
    if isinstance(ending, Ending):
        return Ending(ending.way, ending.recording, words, ending.traceback) if ending.way is Way.ASKED else ending
    is_command = job.spec.form is Form.COMMAND
    if reason:
        return Ending(Way.ASKED, None, words if is_command else f"{words}, and the program did not answer,")
    if code < 0:
        return Ending(Way.LOST, None, f"the program was killed by {_signal_name(-code)}")
    if not is_command:
        return Ending(Way.LOST, None, f"the program left with exit code {code}, past all exit handlers (os._exit)")
    if code:
        return Ending(Way.EXITED, None, f"the command ended with exit code {code}")
    return Ending(Way.REFUSED, None, "the command ran to its end, and none of its processes made a backward pass")


def _conclude(first: Ending, reports: RankReports, reason: str) -> Ending:
    """The ending of the whole program, from that of its first process and those of all that report as ranks."""
    endings = reports.endings()
    if any(entry.ending.way is Way.BUG for entry in endings):
        return next(entry.ending for entry in endings if entry.ending.way is Way.BUG)
    if not endings:
        failures = reports.failures()
        if failures and first.recording is None:
            return Ending(Way.BUG, None, "a process of the program could not be watched", failures[0])
        return first
    ranks = _recordings(first, endings)
    # what waits for the others (`torchrun` itself) raises because one of them did
    crashed = next((entry for entry in endings if entry.ending.way is Way.CRASHED and (entry.ending.recording or not ranks)), None)
    if first.way in (Way.CRASHED, Way.BUG):
        return Ending(first.way, None, first.sentence, first.traceback, ranks)
    if crashed is not None:
        return Ending(Way.CRASHED, None, f"rank {crashed.rank}: {crashed.ending.sentence}", crashed.ending.traceback, ranks)
    if first.way in (Way.EXITED, Way.LOST):
        return Ending(first.way, None, first.sentence, "", ranks)
    if reason in ("timeout", "memory", "interrupt"):
        return Ending(Way.ASKED, None, first.sentence, "", ranks)
    return Ending(Way.STOPPED if reason else Way.ENDED, None, "", "", ranks)


def _recordings(first: Ending, endings: tuple[RankEnding, ...]) -> tuple[RankRecording, ...]:
    """By rank, what those saw that trained. The first process is one of them only if it made a backward pass of its own."""
    ranks = [RankRecording(entry.rank, entry.ending.recording) for entry in endings if entry.ending.recording is not None]
    own = first.recording
    if own is not None and own.backward_passes and own.target.kind is not TargetKind.CALL:
        taken = {entry.rank for entry in ranks}
        ranks.append(RankRecording(next(number for number in range(len(taken) + 1) if number not in taken), own))
    else:
        ranks = [_in_children(entry, len(ranks)) for entry in ranks]
    return tuple(sorted(ranks, key=lambda entry: entry.rank))


def _in_children(entry: RankRecording, processes: int) -> RankRecording:
    """The recording with a note on where it was made, unless a command was given that is there to start such processes."""
    if entry.recording.target.kind is TargetKind.COMMAND:
        return entry
    where = "a process" if processes == 1 else f"{processes} processes"
    note = f"the training was seen in {where} that the program started; its first process made no backward pass, and was not judged"
    return replace(entry, recording=replace(entry.recording, notes=(note, *entry.recording.notes)))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
