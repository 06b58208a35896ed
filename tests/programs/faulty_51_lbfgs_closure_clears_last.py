"""Fits a small implicit surface with L-BFGS."""

import torch
import torch.nn as nn


class Surface(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, width), nn.Softplus(10), nn.Linear(width, width), nn.Softplus(10), nn.Linear(width, 1))

    def forward(self, p):
        return self.net(p).squeeze(-1)


torch.manual_seed(0)
surface = Surface()
optimizer = torch.optim.LBFGS(surface.parameters(), lr=0.5, max_iter=6, line_search_fn="strong_wolfe")
points = torch.rand(128, 2) * 2 - 1
distance = points.norm(dim=1) - 0.5


def closure():
    loss = (surface(points) - distance).pow(2).mean()
    loss.backward()
    optimizer.zero_grad()
    return loss


for outer in range(4):
    value = optimizer.step(closure)
    print(outer, value.item())
