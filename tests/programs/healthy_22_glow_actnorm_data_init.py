"""Glow-style flow: ActNorm writes its own parameters from the first batch, couplings start as the identity."""

import math

import torch
from torch import nn


class ActNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.shift = nn.Parameter(torch.zeros(dim))
        self.register_buffer("ready", torch.tensor(False))

    def forward(self, x):
        if not self.ready:
            with torch.no_grad():
                self.shift.copy_(-x.mean(0))
                self.log_scale.copy_(-torch.log(x.std(0) + 1e-6))
                self.ready.fill_(True)
        return (x + self.shift) * self.log_scale.exp(), self.log_scale.sum().expand(len(x))


class LinearMix(nn.Module):
    def __init__(self, dim):
        super().__init__()
        q, _ = torch.linalg.qr(torch.randn(dim, dim))
        self.matrix = nn.Parameter(q)

    def forward(self, x):
        return x @ self.matrix, torch.linalg.slogdet(self.matrix)[1].expand(len(x))


class AffineCoupling(nn.Module):
    def __init__(self, dim, width=24):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim // 2, width), nn.ReLU(), nn.Linear(width, dim))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        a, b = x.chunk(2, -1)
        log_scale, shift = self.net(a).chunk(2, -1)
        log_scale = torch.tanh(log_scale)
        return torch.cat([a, (b + shift) * log_scale.exp()], -1), log_scale.sum(-1)


class Glow(nn.Module):
    def __init__(self, dim=4, depth=2):
        super().__init__()
        self.layers = nn.ModuleList(layer(dim) for _ in range(depth) for layer in (ActNorm, LinearMix, AffineCoupling))
        self.register_buffer("constant", torch.tensor(0.5 * dim * math.log(2 * math.pi)))

    def forward(self, x):
        logdet = torch.zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            logdet = logdet + change
        return self.constant + 0.5 * x.pow(2).sum(-1) - logdet


torch.manual_seed(0)
flow = Glow()
optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
for step in range(6):
    u = torch.randn(128, 4)
    data = torch.stack([u[:, 0], u[:, 0] ** 2 + 0.3 * u[:, 1], 2 * u[:, 2], u[:, 3] + u[:, 0]], -1)
    bits = flow(data).mean()
    optimizer.zero_grad()
    bits.backward()
    optimizer.step()
    print(step, bits.item())
