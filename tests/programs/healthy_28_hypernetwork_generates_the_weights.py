"""A hypernetwork writes the weights of a small field; the field module itself is only a template."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(1, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.b(torch.sin(3 * self.a(x)))


class Hyper(nn.Module):
    def __init__(self, template, code=6):
        super().__init__()
        self.shapes = {n: p.shape for n, p in template.named_parameters()}
        self.body = nn.Sequential(nn.Linear(code, 32), nn.ReLU())
        self.outs = nn.ModuleDict({n.replace(".", "_"): nn.Linear(32, p.numel()) for n, p in template.named_parameters()})

    def forward(self, code):
        h = self.body(code)
        return {n: self.outs[n.replace(".", "_")](h).view(shape) for n, shape in self.shapes.items()}


torch.manual_seed(0)
field = Field()
hyper = Hyper(field)
opt = torch.optim.Adam(hyper.parameters(), 1e-3)
for step in range(4):
    losses = []
    for _ in range(3):
        code, x = torch.randn(6), torch.linspace(-1, 1, 20)[:, None]
        losses.append(F.mse_loss(functional_call(field, hyper(code), (x,)), torch.sin(code[0] * x)))
    loss = torch.stack(losses).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
