"""A layer through which no row of the batch went has a gradient of zero, by this batch alone."""

from __future__ import annotations

import torch
from torch import nn

import gradflow
from gradflow.report import Severity


class Routed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: torch.Tensor, choice: torch.Tensor) -> torch.Tensor:
        return torch.cat([expert(x[choice == number]) for number, expert in enumerate(self.experts)])


def test_an_expert_without_a_row_is_no_fault() -> None:
    torch.manual_seed(0)
    report = gradflow.audit(Routed(), (torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 0, 1])))
    assert [row.verdict.value for row in report.parameters] == ["live"] * 4 + ["zero"] * 2
    assert {finding.severity for finding in report.findings} <= {Severity.INFO}
