"""Physics-informed network for a damped oscillator: Adam first, then LBFGS with a closure that runs many times a step."""

import torch
from torch import nn


class Solution(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.first = nn.Linear(1, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 1)
        self.damping = nn.Parameter(torch.tensor(0.1))

    def forward(self, t):
        return self.last(torch.tanh(self.second(torch.tanh(self.first(t)))))


def residual(net, t):
    t = t.clone().requires_grad_(True)
    x = net(t)
    (dx,) = torch.autograd.grad(x.sum(), t, create_graph=True)
    (ddx,) = torch.autograd.grad(dx.sum(), t, create_graph=True)
    return ddx + 2 * net.damping * dx + 4 * x


def objective(net, t, seen_t, seen_x):
    return residual(net, t).pow(2).mean() + 10 * (net(seen_t) - seen_x).pow(2).mean()


torch.manual_seed(0)
net = Solution()
t = torch.linspace(0, 2, 30).unsqueeze(-1)
seen_t = torch.linspace(0, 1, 8).unsqueeze(-1)
seen_x = torch.exp(-0.3 * seen_t) * torch.cos(2 * seen_t)

adam = torch.optim.Adam(net.parameters(), lr=5e-3)
for _ in range(3):
    adam.zero_grad()
    objective(net, t, seen_t, seen_x).backward()
    adam.step()

lbfgs = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=5, line_search_fn="strong_wolfe")


def closure():
    lbfgs.zero_grad()
    loss = objective(net, t, seen_t, seen_x)
    loss.backward()
    return loss


for step in range(3):
    print(step, lbfgs.step(closure).item(), net.damping.item())
