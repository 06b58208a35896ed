"""Residual network trained with activation checkpointing on its first stage, whose input is the raw image."""

import warnings
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

warnings.filterwarnings("ignore", message="None of the inputs have requires_grad")


def conv_bn(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout))


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.a = conv_bn(cin, cout, stride)
        self.b = conv_bn(cout, cout)
        self.skip = nn.Conv2d(cin, cout, 1, stride, bias=False)

    def forward(self, x):
        return F.relu(self.b(F.relu(self.a(x))) + self.skip(x))


class CheckpointedResNet(nn.Module):
    def __init__(self, widths=(8, 16, 24), classes=4):
        super().__init__()
        self.stem = Residual(3, widths[0], 1)
        self.stages = nn.ModuleList(Residual(a, b, 2) for a, b in pairwise(widths))
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, image):
        x = checkpoint(self.stem, image, use_reentrant=True)
        for stage in self.stages:
            x = checkpoint(stage, x, use_reentrant=False)
        return self.fc(x.mean((2, 3)))


def main():
    torch.manual_seed(6)
    model = CheckpointedResNet().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=0.0)
    for step in range(3):
        image, label = torch.randn(8, 3, 16, 16), torch.randint(0, 4, (8,))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(image), label)
        loss.backward()
        optimizer.step()
        print(step, loss.item())


main()
