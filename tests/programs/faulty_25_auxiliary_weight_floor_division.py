"""Depth estimation with deep supervision; the weight of each auxiliary output is computed with the wrong division."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Options:
    scales: int = 2
    aux_budget: int = 1
    lr: float = 1e-3


class DepthNet(nn.Module):
    def __init__(self, scales):
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(3 if i == 0 else 8 * i, 8 * (i + 1), 3, 2, 1) for i in range(scales + 1))
        self.up = nn.ModuleList(nn.ConvTranspose2d(8 * (i + 1), 8 * i if i else 8, 2, 2) for i in reversed(range(scales + 1)))
        self.side = nn.ModuleList(nn.Conv2d(8 * i, 1, 1) for i in range(scales, 0, -1))
        self.final = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, image):
        h = image
        for layer in self.down:
            h = F.elu(layer(h))
        sides = []
        for i, layer in enumerate(self.up):
            h = F.elu(layer(h))
            if i < len(self.side):
                sides.append(self.side[i](h))
        return self.final(h), sides


def total_loss(depth, sides, truth, opt):
    loss = F.l1_loss(depth, truth)
    weight = opt.aux_budget // opt.scales
    for side in sides:
        loss = loss + weight * F.l1_loss(side, F.adaptive_avg_pool2d(truth, side.shape[-1]))
    return loss


def main(opt):
    torch.manual_seed(0)
    net = DepthNet(opt.scales)
    optimizer = torch.optim.Adam(net.parameters(), lr=opt.lr)
    for step in range(4):
        image, truth = torch.rand(4, 3, 16, 16), 1 + torch.rand(4, 1, 16, 16)
        loss = total_loss(*net(image), truth, opt)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("step", step, "loss", loss.item())


main(Options())
