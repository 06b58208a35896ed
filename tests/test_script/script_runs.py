"""Writes small programs into a folder and audits them from the command line, as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

import gradflow

SCHEMA = json.loads((Path(gradflow.__file__).parent / "schema.json").read_text("utf-8"))

TRAINING = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.last = nn.Linear(8, 1)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)


def step():
    optimizer.zero_grad()
    loss = net(torch.randn(3, 4)).pow(2).mean()
    loss.backward()
    optimizer.step()
    return loss
"""
"""A healthy model and one training step, for a program to go on from."""

CLEAN = TRAINING + "\nfor _ in range(5):\n    step()\n"


@dataclass(frozen=True)
class Run:
    """How one `gradflow audit` ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on standard output, which is one and valid."""
        document = json.loads(self.out)
        jsonschema.validate(document, SCHEMA)
        assert isinstance(document, dict)
        return document

    @property
    def outcome(self) -> tuple[int, str]:
        """(exit code, outcome)."""
        return self.code, self.document["outcome"]

    @property
    def sentence(self) -> str:
        """The one sentence on standard error that says why there is no clean audit."""
        lines = [line for line in self.err.splitlines() if line.startswith("gradflow: error: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("gradflow: error: ")


def write(folder: Path, text: str, name: str = "train.py") -> Path:
    """The file `name` in `folder`, holding the program."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def environment(**changes: str) -> dict[str, str]:
    """Our environment with `changes`, and one thread for torch."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **changes}


def command(*words: str) -> list[str]:
    """The command line of `gradflow audit --format json`."""
    return [sys.executable, "-m", "gradflow", "audit", "--format", "json", *words]


def audit(folder: Path, *words: str, given: str = "", **changes: str) -> Run:
    """Audits in `folder`; `given` is what can be read from standard input."""
    done = subprocess.run(
        command(*words), cwd=folder, input=given, capture_output=True, text=True, timeout=100, env=environment(**changes), check=False
    )
    return Run(done.returncode, done.stdout, done.stderr)


def audit_text(folder: Path, text: str, *words: str, given: str = "", **changes: str) -> Run:
    """Writes the program to `train.py` and audits it; `words` are the script's own."""
    write(folder, text)
    return audit(folder, "train.py", *words, given=given, **changes)


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] if Path("/proc").is_dir() else "S"
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
