"""Interatomic potential with continuous filters: the distance matrix contains its own diagonal, where sqrt has no slope."""

import torch
from torch import nn


class ContinuousFilter(nn.Module):
    def __init__(self, width, centres=10):
        super().__init__()
        self.register_buffer("mu", torch.linspace(0.0, 3.0, centres))
        self.filter = nn.Sequential(nn.Linear(centres, width), nn.Softplus(), nn.Linear(width, width))
        self.atomwise = nn.Linear(width, width)

    def forward(self, h, distance):
        radial = torch.exp(-4.0 * (distance.unsqueeze(-1) - self.mu) ** 2)
        return h + self.atomwise((self.filter(radial) * h.unsqueeze(1)).sum(2))


class Potential(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.displace = nn.Embedding(3, 3)
        self.features = nn.Embedding(3, width)
        self.interact = ContinuousFilter(width)
        self.readout = nn.Linear(width, 1)

    def forward(self, kind, position):
        position = position + 0.1 * self.displace(kind)
        difference = position.unsqueeze(2) - position.unsqueeze(1)
        distance = difference.pow(2).sum(-1).sqrt()
        return self.readout(self.interact(self.features(kind), distance)).sum((1, 2))


torch.manual_seed(3)
potential = Potential()
optimizer = torch.optim.SGD(potential.parameters(), lr=1e-3)
for frame in range(3):
    kind, position, energy = torch.randint(0, 3, (4, 6)), torch.randn(4, 6, 3), torch.randn(4)
    loss = nn.functional.mse_loss(potential(kind, position), energy)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(frame, loss.item())
