"""Residual MLP whose block is compiled with TorchScript."""

import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.filterwarnings("ignore")


class Gate(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.value = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(self.key(x)).detach()
        return gate * self.value(x)


class Net(nn.Module):
    def __init__(self, dim=12):
        super().__init__()
        self.inp = nn.Linear(5, dim)
        self.gate = torch.jit.script(Gate(dim))
        self.out = nn.Linear(dim, 1)

    def forward(self, x):
        h = F.relu(self.inp(x))
        return self.out(h + self.gate(h))


torch.manual_seed(0)
net = Net()
opt = torch.optim.Adam(net.parameters(), 1e-3)
for step in range(4):
    x = torch.randn(32, 5)
    loss = F.mse_loss(net(x), x.sum(1, keepdim=True))
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
