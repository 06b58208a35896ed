"""Mixture of experts with noisy top-2 gates and a load-balancing loss; many experts see no token in a given batch."""

import torch
import torch.nn.functional as F
from torch import nn


class Experts(nn.Module):
    def __init__(self, dim, n=8, k=2):
        super().__init__()
        self.k = k
        self.gate = nn.Linear(dim, n, bias=False)
        self.noise = nn.Linear(dim, n, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim)) for _ in range(n))

    def forward(self, x):
        clean = self.gate(x)
        noisy = clean + torch.randn_like(clean) * F.softplus(self.noise(x)) if self.training else clean
        value, chosen = noisy.topk(self.k, dim=-1)
        weight = value.softmax(-1)
        out = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            row, slot = (chosen == e).nonzero(as_tuple=True)
            if row.numel():
                out.index_add_(0, row, weight[row, slot, None] * expert(x[row]))
        share = F.one_hot(chosen, clean.size(-1)).float().mean((0, 1))
        balance = clean.size(-1) * (share * clean.softmax(-1).mean(0)).sum()
        return out, balance


class Model(nn.Module):
    def __init__(self, inp=10, dim=16):
        super().__init__()
        self.enter = nn.Linear(inp, dim)
        self.moe = Experts(dim)
        self.leave = nn.Linear(dim, 1)

    def forward(self, x):
        h = torch.tanh(self.enter(x))
        mixed, balance = self.moe(h)
        return self.leave(h + mixed).squeeze(-1), balance


torch.manual_seed(2)
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(12):
    x = torch.randn(5, 10)
    prediction, balance = model(x)
    loss = F.mse_loss(prediction, x.prod(-1)) + 0.01 * balance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
