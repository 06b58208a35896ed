"""Reversible residual network with a hand-written Function that recomputes its inputs."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class ReversibleFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, f, g, *params):
        with torch.no_grad():
            x1, x2 = x.chunk(2, 1)
            y1 = x1 + f(x2)
            y2 = x2 + g(y1)
        ctx.f, ctx.g, ctx.params = f, g, params
        ctx.save_for_backward(y1, y2)
        return torch.cat([y1, y2], 1)

    @staticmethod
    def backward(ctx, grad):
        y1, y2 = ctx.saved_tensors
        with torch.no_grad():
            x2 = y2 - ctx.g(y1)
            x1 = y1 - ctx.f(x2)
        with torch.enable_grad():
            x1, x2 = x1.detach().requires_grad_(), x2.detach().requires_grad_()
            y1 = x1 + ctx.f(x2)
            y = torch.cat([y1, x2 + ctx.g(y1)], 1)
        grads = torch.autograd.grad(y, (x1, x2, *ctx.params), grad)
        return (torch.cat(grads[:2], 1), None, None, *grads[2:])


class Reversible(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(dim, dim), nn.Tanh())
        self.g = nn.Sequential(nn.Linear(dim, dim), nn.Tanh())

    def forward(self, x):
        return ReversibleFunction.apply(x, self.f, self.g, *self.f.parameters(), *self.g.parameters())


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), Reversible(8), Reversible(8), nn.Linear(16, 2))
opt = torch.optim.Adam(model.parameters(), 1e-3)
for step in range(4):
    loss = F.cross_entropy(model(torch.randn(24, 6)), torch.randint(0, 2, (24,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
