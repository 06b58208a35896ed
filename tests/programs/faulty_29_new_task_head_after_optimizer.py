"""Class-incremental learning: every new task appends a head to the network, the optimizer dates from before the first."""

import torch
import torch.nn.functional as F
from torch import nn


class Incremental(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(10, 32), nn.LeakyReLU(0.1), nn.Linear(32, dim), nn.LeakyReLU(0.1))
        self.heads = nn.ModuleList()

    def add_task(self, classes):
        self.heads.append(nn.Linear(self.trunk[2].out_features, classes))

    def forward(self, x, task):
        return self.heads[task](self.trunk(x))


class Learner:
    def __init__(self):
        self.net = Incremental()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.05)

    def learn(self, task, classes, steps=3):
        self.net.add_task(classes)
        for _ in range(steps):
            x, y = torch.randn(20, 10) + task, torch.randint(0, classes, (20,))
            loss = F.cross_entropy(self.net(x, task), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            print("task", task, "loss", loss.item())


torch.manual_seed(0)
learner = Learner()
learner.learn(0, classes=3)
