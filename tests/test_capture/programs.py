"""Programs as text: written to a file, run plain (autograd's own answer), run watched, audited as live objects, or run as a script.

A program defines `model`, `optimizer` (or None), `x` and `train()`. A comment `# cut` marks the line that a finding must blame.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from types import ModuleType
from typing import Any

import torch

import gradflow
from gradflow import Finding, Report, Severity, Verdict

INNER = frozenset({"inner.weight", "inner.bias"})

_NET = """\
import torch
from torch import nn
{before}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.outer = nn.Linear(4, 1)

{methods}


torch.manual_seed(0)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(8, 4)


def train(steps=3):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(x).pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
"""

_SGD = "torch.optim.SGD(model.parameters(), lr=0.1)"
_FORWARD = """
def forward(self, x):
    return self.outer(torch.tanh(self.inner(x)))
"""

_numbers = itertools.count()


@dataclass(frozen=True)
class Program:
    """A program's file."""

    path: Path

    def load(self) -> ModuleType:
        """The program freshly executed, under a name of its own."""
        spec = importlib.util.spec_from_file_location(f"audited_program_{next(_numbers)}", self.path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def line(self, marker: str = "# cut") -> int:
        """The number of the one line that holds `marker`."""
        numbers = [number for number, text in enumerate(self.path.read_text().splitlines(), 1) if marker in text]
        assert len(numbers) == 1, f"{marker!r} stands on lines {numbers}"
        return numbers[0]

    def unreached(self) -> set[str]:
        """Names of the parameters whose `.grad` is None after plain training, without gradflow: the oracle."""
        plain = self.load()
        plain.train()
        return {name for name, parameter in plain.model.named_parameters() if parameter.grad is None}

    def watched(self) -> Report:
        """The report on the program's own loop."""
        live = self.load()
        with gradflow.watch(live.model, live.optimizer) as flow:
            live.train()
        return flow.report

    def audited(self, *, steps: int = 3, with_optimizer: bool = True) -> Report:
        """The report on the live model, with the mean square as its loss."""
        live = self.load()
        optimizer = live.optimizer if with_optimizer else None
        return gradflow.audit(live.model, (live.x,), loss=mean_square, optimizer=optimizer, steps=steps)

    def as_script(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON document of `gradflow audit` on the file, in a child process."""
        command = [sys.executable, "-m", "gradflow", "audit", "--format", "json", *options, str(self.path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.path.parent, env=environment, timeout=120, check=False)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


def mean_square(output: torch.Tensor) -> torch.Tensor:
    """The loss of every program here."""
    return output.pow(2).mean()


def program(folder: Path, text: str) -> Program:
    """The program `text`, dedented, in a file of `folder`."""
    path = folder / "program.py"
    path.write_text(dedent(text).lstrip("\n"))
    return Program(path)


def net(folder: Path, methods: str, before: str = "") -> Program:
    """A two-layer program with these methods (`forward` among them); `before` stands above the class."""
    body = indent(dedent(methods).strip("\n"), "    ")
    return program(folder, _NET.format(methods=body, before=dedent(before).strip("\n")))


def loop(folder: Path, step: str, *, methods: str = _FORWARD, before: str = "", optimizer: str = _SGD) -> Program:
    """The two-layer net with the body of one training step written out, run three times."""
    head, _ = net(folder, methods, before).path.read_text().split("def train(")
    body = indent(dedent(step).strip("\n"), " " * 8)
    return program(folder, f"{head.replace(_SGD, optimizer)}def train():\n    for step in range(3):\n{body}\n")


def verdicts(report: Report) -> dict[str, Verdict]:
    """Parameter name to verdict."""
    return {row.name: row.verdict for row in report.parameters}


def faults(report: Report) -> list[Finding]:
    """The findings that are more than information."""
    return [finding for finding in report.findings if finding.severity is not Severity.INFO]


def assert_cut(subject: Program, reason: str, dead: frozenset[str] = INNER, *, audit: bool = True) -> None:
    """Autograd and gradflow agree on `dead`, and one GF101 error names the marked line; watched, and audited as a live object."""
    assert subject.unreached() == dead
    _assert_reports_cut(subject, subject.watched(), reason, dead)
    if audit:
        _assert_reports_cut(subject, subject.audited(), reason, dead)


def _assert_reports_cut(subject: Program, report: Report, reason: str, dead: frozenset[str]) -> None:
    names = [name for name, _ in subject.load().model.named_parameters()]
    assert verdicts(report) == {name: Verdict.SEVERED if name in dead else Verdict.LIVE for name in names}
    assert [(finding.code, finding.reason, finding.severity, set(finding.parameters)) for finding in faults(report)] == [
        ("GF101", reason, Severity.ERROR, set(dead))
    ]
    cause = faults(report)[0].cause
    assert cause is not None
    assert (Path(cause.file).name, cause.line) == (subject.path.name, subject.line())
    assert not report.ok


def assert_healthy(subject: Program, report: Report) -> None:
    """Every parameter gets a gradient in plain training, gradflow calls each live, and nothing is at fault."""
    assert subject.unreached() == set()
    assert {name: verdict for name, verdict in verdicts(report).items() if verdict is not Verdict.LIVE} == {}
    assert verdicts(report).keys() == {name for name, _ in subject.load().model.named_parameters()}
    assert faults(report) == []
    assert report.ok
