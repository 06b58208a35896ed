"""Coupling flow fine-tuned wholly in bfloat16 with a learning rate far below what its weights can resolve."""

import math

import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, dim, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(dim // 2, 24), nn.Tanh(), nn.Linear(24, dim))
        for layer in (self.net[0], self.net[2]):
            nn.init.uniform_(layer.weight, 0.2, 0.4)
            nn.init.constant_(layer.bias, 0.5)

    def forward(self, x):
        a, b = x.chunk(2, -1)
        if self.flip:
            a, b = b, a
        shift, log_scale = self.net(a).chunk(2, -1)
        log_scale = 0.5 * torch.tanh(log_scale)
        b = (b - shift) * torch.exp(-log_scale)
        return torch.cat([b, a] if self.flip else [a, b], -1), -log_scale.sum(-1)


class Flow(nn.Module):
    def __init__(self, dim=6, depth=3):
        super().__init__()
        self.steps = nn.ModuleList(Coupling(dim, bool(i % 2)) for i in range(depth))

    def log_prob(self, x):
        logdet = 0.0
        for step in self.steps:
            x, ld = step(x)
            logdet = logdet + ld
        return -0.5 * (x.float().pow(2) + math.log(2 * math.pi)).sum(-1) + logdet.float()


torch.manual_seed(0)
flow = Flow().to(torch.bfloat16)
optimizer = torch.optim.AdamW(flow.parameters(), lr=2e-5, weight_decay=0.0)
for step in range(6):
    sample = torch.randn(64, 6, dtype=torch.bfloat16) * 0.7 + 0.3
    loss = -flow.log_prob(sample).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
