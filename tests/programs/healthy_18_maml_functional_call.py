"""MAML on sine waves: the inner steps run through functional_call on fast weights, the outer step trains the start."""

import torch
from torch import nn
from torch.func import functional_call


class SineNet(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.hidden1 = nn.Linear(1, width)
        self.hidden2 = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        self.log_rate = nn.Parameter(torch.tensor(-3.0))

    def forward(self, x):
        return self.out(torch.tanh(self.hidden2(torch.tanh(self.hidden1(x)))))


def task():
    amplitude, phase = 0.5 + 2 * torch.rand(()), 3.14 * torch.rand(())
    x = 10 * torch.rand(20, 1) - 5
    return x, amplitude * torch.sin(x + phase)


def adapt(model, x, y, inner_steps=2):
    fast = dict(model.named_parameters())
    for _ in range(inner_steps):
        loss = nn.functional.mse_loss(functional_call(model, fast, (x,)), y)
        names = [n for n in fast if n != "log_rate"]
        grads = torch.autograd.grad(loss, [fast[n] for n in names], create_graph=True)
        stepped = {n: fast[n] - model.log_rate.exp() * g for n, g in zip(names, grads, strict=True)}
        fast = {**fast, **stepped}
    return fast


torch.manual_seed(0)
model = SineNet()
meta = torch.optim.Adam(model.parameters(), lr=1e-3)
for iteration in range(4):
    outer = 0.0
    for _ in range(4):
        x, y = task()
        fast = adapt(model, x[:10], y[:10])
        outer = outer + nn.functional.mse_loss(functional_call(model, fast, (x[10:],)), y[10:]) / 4
    meta.zero_grad()
    outer.backward()
    meta.step()
    print(iteration, outer.item())
