"""Sharpness-aware minimisation: an Optimizer subclass that wraps another and takes two half steps."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SAM(torch.optim.Optimizer):
    def __init__(self, params, base, rho=0.05, **kwargs):
        super().__init__(params, dict(rho=rho, **kwargs))
        self.base = base(self.param_groups, **kwargs)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def first_step(self):
        norm = torch.stack([p.grad.norm() for g in self.param_groups for p in g["params"] if p.grad is not None]).norm()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    e = p.grad * group["rho"] / (norm + 1e-12)
                    self.state[p]["e"] = e
                    p.add_(e)
        self.zero_grad()

    @torch.no_grad()
    def second_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(self.state[p]["e"])
        self.base.step()
        self.zero_grad()

    def step(self, closure=None):
        raise NotImplementedError("call first_step and second_step")


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 3))
opt = SAM(model.parameters(), torch.optim.SGD, lr=0.05, momentum=0.9)
for step in range(5):
    x, y = torch.randn(32, 10), torch.randint(0, 3, (32,))
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    opt.first_step()
    F.cross_entropy(model(x), y).backward()
    opt.second_step()
    print(step, loss.item())
