"""What passes between gradflow and the child process that runs the user's program: the job in, the ending out. Plain data, torch-free.

Both travel as pickles of frozen dataclasses, in a directory that only this user can read.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from gradflow.capture.launch.inputs import InputSpec
from gradflow.capture.launch.scale import AS_IT_IS, Scale
from gradflow.capture.launch.target import TargetSpec
from gradflow.graph.freezing import FreezeComparison
from gradflow.graph.recording import RankRecording, Recording, Target


@dataclass(frozen=True, slots=True)
class Job:
    """What the child is to do. `spare` is a directory for saves that would have overwritten a file of the user's.

    `ranks` is the directory in which further processes of the program report, `injector` the one that reaches them by PYTHONPATH.
    `seed`: of all random numbers, None where the program is left to itself. `compiles`: `torch.compile` works as it does without us.
    `draws`: the first backward graph is drawn, while its tensors are there. `focus`: patterns of parameters to look at more closely.
    `layers`: paths of modules to freeze in training step `steps`, in place of an audit. `seconds`: how long the child may take.
    `scale`: fake tensors, and sizes of inputs. `init`: arguments of a class, as in a call of it. `evaluates`: the model is in eval mode.
    `folder`: where gradflow was started, which paths in the report are relative to, wherever the program goes.
    `way`: the one way in which this process freezes the layers, empty where it forks for each.
    """

    spec: TargetSpec
    target: Target
    steps: int
    inputs: tuple[InputSpec, ...]
    loss: str
    ending: str
    spare: str
    ranks: str = ""
    injector: str = ""
    seed: int | None = None
    compiles: bool = False
    draws: bool = False
    focus: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    seconds: float = 0.0
    scale: Scale = AS_IT_IS
    init: str = ""
    evaluates: bool = False
    folder: str = ""
    way: str = ""


class Way(str, Enum):
    """How the child ended."""

    STOPPED = "stopped"  # enough steps were seen, and gradflow ended the program
    ENDED = "ended"  # the program came to its end
    EXITED = "exited"  # the program called `sys.exit` with a code that means failure
    CRASHED = "crashed"  # the program raised
    ASKED = "asked"  # time ran out or Ctrl-C was pressed, and this is what was seen by then
    REFUSED = "refused"  # the target could not be audited, for the reason in `sentence`
    USAGE = "usage"  # an option or hook has a form that gradflow cannot read, as `sentence` says
    BUG = "bug"  # gradflow itself failed: `traceback` tells where
    LOST = "lost"  # the child died without a word, for the reason in `sentence`


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended, with the recording if there is one. `traceback` is the user's own, or gradflow's where `way` is BUG.

    `ranks` holds the recordings of all processes of the program that trained, where it was not the first process alone. `frozen` is there
    in place of a recording where layers were to be frozen. `alone`: why no fork of the process can take the step, so that each way needs a
    process of its own.
    """

    way: Way
    recording: Recording | None = None
    sentence: str = ""
    traceback: str = ""
    ranks: tuple[RankRecording, ...] = ()
    frozen: FreezeComparison | None = None
    alone: str = ""


def write_atomically(path: str, value: Job | Ending) -> None:
    """Leaves the pickle of `value` at `path`, or nothing at all: a reader never sees half of it."""
    half = f"{path}.{os.getpid()}.half"
    Path(half).write_bytes(pickle.dumps(value))
    os.replace(half, path)


def read(path: str) -> Any:
    """The value that `write_atomically` left at `path`, None where there is none."""
    try:
        return pickle.loads(Path(path).read_bytes())
    except FileNotFoundError:
        return None
