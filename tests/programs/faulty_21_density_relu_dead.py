"""Radiance field along rays: the density goes through a ReLU and starts negative everywhere, so nothing is rendered."""

import torch
import torch.nn.functional as F
from torch import nn


def frequency_encode(x, octaves=4):
    scaled = x.unsqueeze(-1) * 2.0 ** torch.arange(octaves)
    return torch.cat([scaled.sin(), scaled.cos()], -1).flatten(-2)


class RadianceField(nn.Module):
    def __init__(self, octaves=4, width=32):
        super().__init__()
        self.octaves = octaves
        self.layer1 = nn.Linear(6 * octaves, width)
        self.layer2 = nn.Linear(width, width)
        self.sigma = nn.Linear(width, 1)
        self.rgb = nn.Linear(width, 3)
        nn.init.constant_(self.sigma.bias, -3.0)

    def forward(self, points):
        h = F.relu(self.layer1(frequency_encode(points, self.octaves)))
        h = F.relu(self.layer2(h))
        density = F.relu(self.sigma(h)).squeeze(-1)
        return density, torch.sigmoid(self.rgb(h))


def render(field, origin, direction, samples=12):
    depth = torch.linspace(0.5, 3.0, samples)
    points = origin[:, None] + depth[None, :, None] * direction[:, None]
    density, colour = field(points)
    alpha = 1 - torch.exp(-density * (depth[1] - depth[0]))
    clear = torch.cumprod(1 - alpha + 1e-10, dim=-1)
    weight = alpha * torch.cat([torch.ones_like(clear[:, :1]), clear[:, :-1]], -1)
    return (weight.unsqueeze(-1) * colour).sum(1)


torch.manual_seed(7)
field = RadianceField()
optimizer = torch.optim.Adam(field.parameters(), lr=5e-4)
for step in range(4):
    origin, direction = torch.randn(32, 3), F.normalize(torch.randn(32, 3), dim=-1)
    loss = F.mse_loss(render(field, origin, direction), torch.rand(32, 3))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
