"""What recording costs: `python tests/bench/speed.py [ROUNDS [MODEL ...]]`. Prints a table of ratios of CPU time, asserts nothing.

In one process, and in turns within each round: the plain training step, the same step under the recorder (`gradflow.watch`), and
`gradflow.audit` of the clean model against its plain forward and backward pass. A ratio is taken within a round, and its lowest value and
its median over the rounds are shown. Threads are cut to one, since CPU time adds up over threads that spin.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

import gradflow


class ResNet18(nn.Module):
    """Four stages of two residual blocks, on images of 32 x 32."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        blocks = [Block(width if stage == 0 else widths[stage - 1], widths[stage], 1 if stage == 0 else 2) for stage in range(4)]
        seconds = [Block(width, width, 1) for width in widths]
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*(block for pair in zip(blocks, seconds, strict=True) for block in pair))
        self.head = nn.Linear(widths[-1], 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.head(self.blocks(self.stem(x)).mean((2, 3)))
        return output


class Block(nn.Module):
    """A basic residual block."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.short = nn.Identity() if stride == 1 and inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.short(x))


class LSTM(nn.Module):
    """An LSTMCell that a Python loop runs along 200 steps."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(16, width)
        self.head = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = cell = x.new_zeros(x.shape[0], self.cell.hidden_size)
        for step in range(x.shape[1]):
            hidden, cell = self.cell(x[:, step], (hidden, cell))
        output: torch.Tensor = self.head(hidden)
        return output


def transformer() -> nn.Module:
    """Twelve encoder layers of width 256."""
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(256, 4, 1024, 0.0, batch_first=True, norm_first=True), 12, enable_nested_tensor=False
    )


def mlp() -> nn.Module:
    """Two hundred linear layers of width 64, with weights that keep the gradient alive through all of them."""
    model = nn.Sequential(*(layer for _ in range(200) for layer in (nn.Linear(64, 64), nn.ReLU())))
    for weight in (value for name, value in model.named_parameters() if name.endswith("weight")):
        nn.init.kaiming_normal_(weight)
    return model


WORKLOADS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "transformer, 12 layers": (transformer, (4, 64, 256)),
    "ResNet-18": (ResNet18, (8, 3, 32, 32)),
    "MLP, 200 layers": (mlp, (32, 64)),
    "LSTMCell, 200 steps": (LSTM, (16, 200, 16)),
}


@dataclass
class Workload:
    """One model with its input and optimizer."""

    model: nn.Module
    x: torch.Tensor
    optimizer: torch.optim.Optimizer

    def loss(self, output: torch.Tensor) -> torch.Tensor:
        """Any loss that reaches everything."""
        return output.square().mean()

    def step(self) -> None:
        """One plain training step."""
        self.optimizer.zero_grad()
        self.loss(self.model(self.x)).backward()
        self.optimizer.step()

    def forward_backward(self) -> None:
        """What `audit` does besides judging."""
        self.model.zero_grad()
        self.loss(self.model(self.x)).backward()

    def audit(self) -> None:
        """A clean audit."""
        report = gradflow.audit(self.model, (self.x,), loss=self.loss)
        assert report.ok, report.findings


def seconds(work: Callable[[], object]) -> float:
    """Seconds of CPU that `work` takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def recorded(workload: Workload) -> float:
    """Seconds of CPU of one step under the recorder, after one that fills its tables."""
    with gradflow.watch(workload.model, workload.optimizer):
        workload.step()
        return seconds(workload.step)


def measure(name: str, rounds: int) -> None:
    """Prints the row of one model."""
    make, shape = WORKLOADS[name]
    torch.manual_seed(0)
    model = make()
    workload = Workload(model, torch.randn(shape), torch.optim.SGD(model.parameters(), lr=1e-4))
    workload.step()
    steps, traced, passes, audits = [], [], [], []
    for _ in range(rounds):
        steps.append(seconds(workload.step))
        traced.append(recorded(workload))
        passes.append(seconds(workload.forward_backward))
        audits.append(seconds(workload.audit))
    step_ratios = [a / b for a, b in zip(traced, steps, strict=True)]
    audit_ratios = [a / b for a, b in zip(audits, passes, strict=True)]
    print(
        f"{name:<26}{1000 * statistics.median(steps):>10.0f}{min(step_ratios):>10.2f}{statistics.median(step_ratios):>9.2f}"
        f"{min(audit_ratios):>12.2f}{statistics.median(audit_ratios):>9.2f}",
        flush=True,
    )


def measure_call(rounds: int, calls: int = 20_000) -> None:
    """Prints what the recorder adds to one small call of torch, in microseconds."""
    model = nn.Linear(4, 4)
    weight = model.weight

    def work() -> None:
        value = weight
        for _ in range(calls):
            value = value * 1.0

    differences = []
    for _ in range(rounds):
        plain = seconds(work)
        with gradflow.watch(model):
            differences.append((seconds(work) - plain) / calls * 1e6)
    print(f"\nrecorder, per call: {min(differences):.1f} us lowest, {statistics.median(differences):.1f} us median of {rounds} rounds")


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    chosen = [name for name in WORKLOADS if not sys.argv[2:] or any(word in name for word in sys.argv[2:])]
    print(f"{f'{rounds} rounds':<26}{'step, ms':>10}{'recorded':>10}{'median':>9}{'audited':>12}{'median':>9}")
    for name in chosen:
        measure(name, rounds)
    measure_call(rounds)


if __name__ == "__main__":
    main()
