"""Shared trunk, one head per dense task, dispatched through a table of callables."""

from dataclasses import dataclass, field

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    tasks: dict = field(default_factory=lambda: {"albedo": 3, "shading": 3, "normals": 3})
    width: int = 12
    lr: float = 2e-3
    steps: int = 4


class DenseNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, cfg.width, 3, padding=1), nn.GELU(), nn.Conv2d(cfg.width, cfg.width, 3, padding=1))
        self.heads = nn.ModuleDict({name: nn.Conv2d(cfg.width, out, 1) for name, out in cfg.tasks.items()})
        self.decode = {}
        for name in cfg.tasks:
            self.decode[name] = lambda feat: self.heads[name](F.gelu(feat))  # noqa: B023

    def forward(self, image):
        feat = self.trunk(image)
        return {name: fn(feat) for name, fn in self.decode.items()}


def run(cfg):
    torch.manual_seed(0)
    model = DenseNet(cfg)
    opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr)
    for step in range(cfg.steps):
        image = torch.rand(2, 3, 10, 10)
        truth = {name: torch.rand(2, n, 10, 10) for name, n in cfg.tasks.items()}
        pred = model(image)
        loss = sum(F.l1_loss(pred[k], truth[k]) for k in truth)
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(step, loss.item())


run(Config())
