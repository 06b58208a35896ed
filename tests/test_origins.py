"""Where a gradient becomes zero or NaN, on random chains of operations, against an oracle that knows nothing of gradflow.

Each program is a chain `h1 = op(h0)`, one operation a line, with one planted that spoils the gradient. The oracle runs it in plain
torch, keeps the gradient of every value of the chain, and goes back from the loss: the operation to blame is the first whose output has a
sound gradient while that of its input is not. gradflow has to name that line.
"""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest
import torch

import gradflow
from gradflow import Report, Severity

HARMLESS = (
    "torch.tanh({0})",
    "{0} * 1.5",
    "{0} + 0.25",
    "torch.sigmoid({0}) + {0}",
    "torch.exp(-{0}.abs())",
    "{0}.flip(-1)",
    "{0} - {0}.mean(-1, keepdim=True) * 0.5",
    "torch.nn.functional.gelu({0}) + 0.1 * {0}",
    "{0}.reshape(4, 6) * 1.0",
    "torch.nn.functional.pad({0}, (1, 1))[..., 1:-1]",
    "{0}.cumsum(-1) * 0.3",
    "torch.nn.functional.leaky_relu({0})",
)
ZEROING = (
    "torch.sign({0})",
    "torch.round({0} * 3.0)",
    "torch.floor({0} * 2.0)",
    "torch.ceil({0})",
    "torch.trunc({0} * 4.0)",
    "torch.relu(-{0}.abs() - 1.0)",
    "{0}.clamp(50.0, 60.0)",
    "{0} * 0.0",
    "torch.sigmoid({0} + 300.0)",
    "torch.tanh({0} * 0.01 + 90.0)",
    "torch.softmax({0}.unsqueeze(-1), dim=-1).squeeze(-1)",
    "torch.nn.functional.hardtanh({0} + 40.0)",
    "torch.nn.functional.relu6({0} - 80.0)",
    "torch.nn.functional.threshold({0}, 30.0, 0.5)",
)
SPOILING = (
    "({0} - {0}.detach()).sqrt() + 1.0",
    "torch.where({0} > 99.0, torch.log({0} * 0.0), {0})",
    "torch.acos({0} * 0.0 + 1.0)",
    "({0} - {0}.detach()).abs().pow(0.5) + 1.0",
    "torch.where({0} > 99.0, ({0} - {0}.detach()) / ({0} - {0}.detach()), {0})",
)


def write(seed: int, planted: tuple[str, ...], folder: Path) -> tuple[ModuleType, Path]:
    """The module of one random program, with its file. `chain` gives every value of the chain, the parameter's product first."""
    draw = random.Random(seed)
    operations = [draw.choice(HARMLESS) for _ in range(draw.randint(2, 6))]
    operations.insert(draw.randrange(len(operations) + 1), draw.choice(planted))
    operations += [draw.choice(HARMLESS[:8]) for _ in range(draw.randint(0, 2))]
    lines = [f"        h{i + 1} = {text.format(f'h{i}')}" for i, text in enumerate(operations)]
    values = ", ".join(f"h{i}" for i in range(len(operations) + 1))
    source = (
        "import torch\n\n\nclass Chain(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = torch.nn.Linear(6, 6)\n\n    def chain(self, x):\n        h0 = self.layer(x)\n"
        + "\n".join(lines)
        + f"\n        return [{values}]\n\n    def forward(self, x):\n        return self.chain(x)[-1]\n"
    )
    path = folder / f"chain_{seed}.py"
    path.write_text(source, "utf-8")
    spec = importlib.util.spec_from_file_location(f"chain_{seed}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, path


def loss(output: torch.Tensor) -> torch.Tensor:
    """Not a plain sum: a hinge that goes into a sum alone would count as met."""
    return (output * torch.linspace(0.5, 1.5, output.numel()).view(output.shape) + 0.3).pow(2).mean()


def oracle(model: torch.nn.Module, x: torch.Tensor, *, zero: bool) -> int | None:
    """The number of the operation to blame, None where the parameter's gradient is sound."""
    values = model.chain(x)  # type: ignore[operator]
    for value in values:
        value.retain_grad()
    loss(values[-1]).backward()
    spoiled = [bool((value.grad == 0).all()) if zero else not bool(torch.isfinite(value.grad).all()) for value in values]
    for parameter in model.parameters():
        parameter.grad = None
    if not spoiled[0]:
        return None
    return next(number for number in range(len(values) - 1, 0, -1) if spoiled[number - 1] and not spoiled[number])


def blamed(report: Report, code: str) -> list[int]:
    """The cause lines of the findings of one code."""
    return [finding.cause.line for finding in report.findings if finding.code == code and finding.cause is not None]


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_the_operation_at_which_a_gradient_becomes_zero_is_named(start: int, tmp_path: Path) -> None:
    judged = 0
    for seed in range(start, start + 20):
        module, path = write(seed, ZEROING, tmp_path)
        torch.manual_seed(seed)
        model, x = module.Chain(), torch.randn(4, 6)
        expected = oracle(model, x, zero=True)
        report = gradflow.audit(model, (x,), loss=loss)
        if expected is None:
            assert not blamed(report, "GF201"), seed
            continue
        judged += 1
        first = path.read_text("utf-8").splitlines().index("        h0 = self.layer(x)") + 1
        assert blamed(report, "GF201") == [first + expected], f"seed {seed}\n{path.read_text('utf-8')}"
    assert judged >= 15


@pytest.mark.parametrize("start", range(1000, 1060, 20))
def test_the_operation_at_which_a_gradient_becomes_nan_is_named(start: int, tmp_path: Path) -> None:
    judged = 0
    for seed in range(start, start + 20):
        module, path = write(seed, SPOILING, tmp_path)
        torch.manual_seed(seed)
        model, x = module.Chain(), torch.randn(4, 6)
        expected = oracle(model, x, zero=False)
        report = gradflow.audit(model, (x,), loss=loss)
        if expected is None:
            assert not blamed(report, "GF202"), seed
            continue
        judged += 1
        first = path.read_text("utf-8").splitlines().index("        h0 = self.layer(x)") + 1
        assert blamed(report, "GF202") == [first + expected], f"seed {seed}\n{path.read_text('utf-8')}"
    assert judged >= 15


def test_a_constant_factor_of_zero_is_an_error_and_a_met_hinge_is_not(tmp_path: Path) -> None:
    model = torch.nn.Linear(6, 1)
    x = torch.ones(4, 6)
    wrong = gradflow.audit(model, (x,), loss=lambda out: (out * 0.0).pow(2).mean())
    met = gradflow.audit(model, (x,), loss=lambda out: torch.relu(out - 1000.0).mean())
    assert [finding.severity for finding in wrong.findings if finding.code == "GF201"] == [Severity.ERROR]
    assert [finding.severity for finding in met.findings if finding.code == "GF201"] == [Severity.INFO]
