"""Torch's fast paths for attention ask whether a function mode is on: their results must not change under gradflow."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import gradflow

# The fast path warns that nested tensors are a prototype; that is torch's word to its user, with or without gradflow.
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")


def encoder() -> nn.TransformerEncoder:
    """A frozen encoder in eval mode, whose fast path packs what the padding mask leaves."""
    torch.manual_seed(1)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=True).eval().requires_grad_(False)


def attention() -> nn.MultiheadAttention:
    """A frozen attention in eval mode."""
    torch.manual_seed(1)
    return nn.MultiheadAttention(16, 2, batch_first=True).eval().requires_grad_(False)


def features(part: nn.Module, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
    """What the frozen part makes of padded sequences `(batch, seq, dim)`."""
    if isinstance(part, nn.MultiheadAttention):
        return part(x, x, x, key_padding_mask=padding, need_weights=False)[0]
    return part(x, src_key_padding_mask=padding)


class Student(nn.Module):
    """Learns the teacher's output: the frozen part is a target."""

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher
        self.body = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            target = features(self.teacher, x, padding)
        return (self.body(x) - target).pow(2).mean()


class Probe(nn.Module):
    """Trains a head on a frozen backbone, with gradients on: nothing before the head needs one."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        return self.head(features(self.backbone, x, padding)).pow(2).mean()


class Idle(TorchFunctionMode):
    """A recorder that records nothing: being on is enough to close the fast path."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


def train(model: nn.Module) -> tuple[list[float], gradflow.Report | None]:
    """Losses of three plain steps."""
    return _loop(model, _optimizer(model)), None


def watched(model: nn.Module) -> tuple[list[float], gradflow.Report | None]:
    """Losses of three watched steps, and the report."""
    optimizer = _optimizer(model)
    with gradflow.watch(model, optimizer) as flow:
        losses = _loop(model, optimizer)
    return losses, flow.report


def _optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.1)


def _loop(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[float]:
    torch.manual_seed(2)
    x = torch.randn(4, 6, 16)
    padding = torch.arange(6) >= torch.tensor([6, 4, 3, 5])[:, None]
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(x, padding)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("role", [Student, Probe], ids=["teacher", "backbone"])
@pytest.mark.parametrize("part", [encoder, attention])
def test_a_frozen_eval_part_under_a_padding_mask_gives_bit_equal_losses(role: type, part: object) -> None:
    assert callable(part)
    losses = []
    for run in (train, watched):
        frozen = part()
        torch.manual_seed(3)
        losses.append(run(role(frozen))[0])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("role", [Student, Probe], ids=["teacher", "backbone"])
def test_a_function_mode_around_the_encoder_would_change_its_losses(role: type) -> None:
    losses = []
    for mode in (nullcontext(), Idle()):
        frozen = encoder()
        torch.manual_seed(3)
        with mode:
            losses.append(train(role(frozen))[0])
    assert losses[0] != losses[1]


@pytest.mark.parametrize("role", [Student, Probe], ids=["teacher", "backbone"])
def test_a_frozen_encoder_is_frozen_and_the_rest_learns(role: type) -> None:
    _, report = watched(role(encoder()))
    assert report is not None
    wrong = {row.name: row.verdict.value for row in report.parameters if row.verdict.value != ("live" if row.requires_grad else "frozen")}
    assert wrong == {}
    assert report.ok


class Trainable(nn.Module):
    """An encoder that should learn, cut off: it reads values through a frozen-style eval call under no_grad."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2).eval()
        self.head = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            h = self.encoder(x, src_key_padding_mask=padding)
        return self.head(h).pow(2).mean()


def test_a_cut_around_the_fast_path_is_still_found_and_the_losses_stay_equal() -> None:
    losses = []
    for run in (train, watched):
        torch.manual_seed(3)
        values, report = run(Trainable())
        losses.append(values)
    assert losses[0] == losses[1]
    assert report is not None
    assert {row.verdict.value for row in report.parameters if row.name.startswith("encoder.")} == {"severed"}
    assert [(finding.code, finding.reason) for finding in report.findings if finding.severity.value == "error"] == [("GF101", "no-grad")]
    assert [finding.cause.source.strip() for finding in report.findings if finding.cause] == ["with torch.no_grad():"]
