"""Interatomic potential trained on forces, with a learnable unit factor."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Potential(nn.Module):
    def __init__(self, rbf=8, width=24):
        super().__init__()
        self.register_buffer("centers", torch.linspace(0.5, 3.0, rbf))
        self.embed = nn.Linear(rbf, width)
        self.energy = nn.Linear(width, 1)
        self.unit = nn.Parameter(torch.ones(()))

    def forward(self, pos):
        d = (pos[:, :, None] - pos[:, None]).pow(2).sum(-1).add(1e-6).sqrt()
        basis = torch.exp(-((d[..., None] - self.centers) ** 2))
        return self.energy(F.softplus(self.embed(basis))).sum((1, 2, 3))

    def forces(self, pos):
        pos = pos.clone().requires_grad_(True)
        energy = self(pos).sum()
        grad = torch.autograd.grad(energy, pos)[0]
        return -self.unit * grad


torch.manual_seed(0)
potential = Potential()
opt = torch.optim.Adam(potential.parameters(), lr=1e-3)
for step in range(4):
    pos, target = torch.randn(4, 5, 3), torch.randn(4, 5, 3)
    loss = F.mse_loss(potential.forces(pos), target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item(), potential.unit.item())
