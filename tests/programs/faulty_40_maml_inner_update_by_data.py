"""Few-shot sine regression, model-agnostic meta-learning written by hand."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F


def sample_task(n=10):
    amplitude, phase = torch.rand(1) * 4 + 0.5, torch.rand(1) * 3
    x = torch.rand(2, n, 1) * 10 - 5
    y = amplitude * torch.sin(x + phase)
    return x[0], y[0], x[1], y[1]


class Regressor(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.inp = nn.Linear(1, width)
        self.mid = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.mid(torch.tanh(self.inp(x)))))


def adapt(model, x, y, lr=0.01, steps=2):
    fast = copy.deepcopy(model)
    for _ in range(steps):
        grads = torch.autograd.grad(F.mse_loss(fast(x), y), fast.parameters(), create_graph=True)
        for param, grad in zip(fast.parameters(), grads, strict=True):
            param.data -= lr * grad
    return fast


torch.manual_seed(0)
meta = Regressor()
meta_opt = torch.optim.Adam(meta.parameters(), lr=1e-3)
for iteration in range(5):
    meta_opt.zero_grad()
    losses = []
    for _ in range(4):
        xs, ys, xq, yq = sample_task()
        fast = adapt(meta, xs, ys)
        losses.append(F.mse_loss(fast(xq), yq))
    loss = torch.stack(losses).mean()
    loss.backward()
    meta_opt.step()
    print(iteration, loss.item())
