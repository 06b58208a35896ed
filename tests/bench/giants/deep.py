"""Plain nets of many layers, 4,096 wide. The third layer's output is detached."""

from __future__ import annotations

import torch
from torch import nn

WIDTH = 4_096


class Deep(nn.Module):
    """Linear layers with a ReLU after each."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, width) as it came in."""
        for number, layer in enumerate(self.layers):
            x = layer(x).relu()
            if number == 2:
                x = x.detach()
        return x


def layers_100() -> nn.Module:
    """1.7 billion parameters."""
    return Deep(100)


def layers_300() -> nn.Module:
    """5 billion parameters."""
    return Deep(300)


def layers_1000() -> nn.Module:
    """16.8 billion parameters."""
    return Deep(1_000)


def layers_3000() -> nn.Module:
    """50 billion parameters."""
    return Deep(3_000)


def layers_10000() -> nn.Module:
    """168 billion parameters."""
    return Deep(10_000)
