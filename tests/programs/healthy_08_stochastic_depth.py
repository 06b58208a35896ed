"""Residual network with stochastic depth: whole blocks are skipped at random, so they have no gradient in that batch."""

import torch
import torch.nn.functional as F
from torch import nn


class DropBlock(nn.Module):
    def __init__(self, dim, survival):
        super().__init__()
        self.survival = survival
        self.body = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        if self.training:
            if torch.rand(()).item() > self.survival:
                return x
            return x + self.body(x)
        return x + self.survival * self.body(x)


class Tabular(nn.Module):
    def __init__(self, features=14, dim=20, depth=6):
        super().__init__()
        self.enter = nn.Linear(features, dim)
        self.blocks = nn.ModuleList(DropBlock(dim, 1 - 0.5 * (i + 1) / depth) for i in range(depth))
        self.leave = nn.Linear(dim, 1)

    def forward(self, x):
        x = self.enter(x)
        for block in self.blocks:
            x = block(x)
        return self.leave(x).squeeze(-1)


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        error = F.mse_loss(model(x), y).item()
    model.train()
    return error


torch.manual_seed(4)
model = Tabular()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
x = torch.randn(200, 14)
y = x[:, 0] * x[:, 1] + x[:, 2].abs()
for epoch in range(3):
    for rows in torch.randperm(160).split(40):
        loss = F.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item(), evaluate(model, x[160:], y[160:]))
