"""GF306 on real loops: what moves in a frozen layer is seen, and a critic that is frozen in turns is left alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import gradflow
from gradflow import Report


class Net(nn.Module):
    """A layer with statistics, one without, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8))
        self.mid = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.head(self.mid(self.body(x)))
        return output


def trained(model: Net, *, freeze_after: int = -1, steps: int = 5, to_none: bool = False, **options: Any) -> Report:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, **options)
    with gradflow.watch(model, optimizer, every=1) as flow:
        for step in range(steps):
            optimizer.zero_grad(set_to_none=to_none)
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
            if step == freeze_after:
                model.mid.requires_grad_(False)
    return flow.report


def reasons(report: Report) -> list[tuple[str, str | None, tuple[str, ...]]]:
    return [(finding.code, finding.reason, finding.parameters) for finding in report.findings]


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def test_batch_norm_of_a_frozen_body_in_train_mode_is_told() -> None:
    model = net()
    model.body.requires_grad_(False)
    report = trained(model)
    assert reasons(report) == [("GF306", "statistics", ("body.1.weight", "body.1.bias"))]
    assert report.ok
    assert report.findings[0].help == ("call `model.body.eval()` after each `train()`",)


def test_a_frozen_body_in_eval_mode_is_still() -> None:
    model = net()
    model.body.requires_grad_(False).eval()
    assert reasons(trained(model)) == []


def test_batch_norm_that_is_trained_is_no_finding() -> None:
    assert reasons(trained(net())) == []


@pytest.mark.parametrize(
    ("options", "reason"), [({"momentum": 0.9}, "momentum"), ({"weight_decay": 0.1}, "weight-decay"), ({"momentum": 0.0}, None)]
)
def test_zeros_left_in_grad_move_a_frozen_layer_by_momentum_and_decay(options: dict[str, Any], reason: str | None) -> None:
    found = reasons(trained(net(), freeze_after=0, **options))
    assert found == ([("GF306", reason, ("mid.weight", "mid.bias"))] if reason else [])


def test_the_line_that_froze_the_layer_is_the_cause() -> None:
    (finding,) = trained(net(), freeze_after=0, momentum=0.9).findings
    assert finding.cause is not None
    assert finding.cause.source.strip() == "model.mid.requires_grad_(False)"


def test_a_layer_without_grad_is_still_whatever_the_optimizer() -> None:
    model = net()
    model.mid.requires_grad_(False)
    assert reasons(trained(model, momentum=0.9, weight_decay=0.1)) == []


def test_a_critic_that_is_frozen_in_turns_is_no_finding() -> None:
    torch.manual_seed(0)
    maker, critic = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    first, second = torch.optim.Adam(maker.parameters()), torch.optim.Adam(critic.parameters())
    with gradflow.watch(maker, first) as flow:
        for _ in range(4):
            critic.requires_grad_(False)
            first.zero_grad()
            critic(maker(torch.randn(16, 4))).mean().backward()
            first.step()
            critic.requires_grad_(True)
            second.zero_grad()
            (critic(torch.randn(16, 4)) - critic(maker(torch.randn(16, 4)).detach())).mean().backward()
            second.step()
    assert [finding for finding in flow.report.findings if finding.code == "GF306"] == []


def test_a_moving_average_in_train_mode_is_no_finding() -> None:
    model = net()
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradflow.watch(model, optimizer) as flow:
        for _ in range(4):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            (model(x) - average(x)).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                for mean, value in zip(average.parameters(), model.parameters(), strict=True):
                    mean.lerp_(value, 0.1)
    assert [finding for finding in flow.report.findings if finding.code == "GF306"] == []
