"""Projected gradient descent on the inputs inside an ordinary training loop."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def attack(model, x, y, eps=0.1, alpha=0.04, iters=3):
    delta = torch.zeros_like(x).uniform_(-eps, eps).requires_grad_(True)
    for _ in range(iters):
        F.cross_entropy(model(x + delta), y).backward()
        delta.data = (delta + alpha * delta.grad.detach().sign()).clamp(-eps, eps)
        delta.grad.zero_()
    return delta.detach()


torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 4))
opt = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(4):
    x, y = torch.rand(8, 1, 8, 8), torch.randint(0, 4, (8,))
    delta = attack(model, x, y)
    model.zero_grad()
    loss = F.cross_entropy(model((x + delta).clamp(0, 1)), y)
    loss.backward()
    opt.step()
    print(step, loss.item())
