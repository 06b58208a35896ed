"""A small CNN without torch.optim: momentum buffers and updates written out under no_grad."""

import torch
import torch.nn.functional as F
from torch import nn


class LeNetlet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 12, 5)
        self.fc = nn.Linear(12 * 4, 10)

    def forward(self, x):
        x = F.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


def sgd_step(params, velocity, lr, momentum):
    with torch.no_grad():
        for p, v in zip(params, velocity, strict=True):
            v.mul_(momentum).add_(p.grad)
            p -= lr * v
            p.grad = None


torch.manual_seed(0)
net = LeNetlet()
params = list(net.parameters())
velocity = [torch.zeros_like(p) for p in params]
digits, labels = torch.randn(60, 1, 16, 16), torch.randint(0, 10, (60,))
for epoch in range(2):
    for x, y in zip(digits.split(20), labels.split(20), strict=True):
        loss = F.nll_loss(F.log_softmax(net(x), -1), y)
        loss.backward()
        sgd_step(params, velocity, lr=0.05, momentum=0.9)
    print(epoch, loss.item())
