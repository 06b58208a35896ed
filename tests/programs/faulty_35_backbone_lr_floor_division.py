"""Segmentation with a smaller learning rate for the encoder, computed with // so that it is exactly zero."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class SegNet(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 10, 3, 2, 1), nn.ReLU(), nn.Conv2d(10, 20, 3, 2, 1), nn.ReLU())
        self.pyramid = nn.ModuleList(nn.Conv2d(20, 6, 3, padding=r, dilation=r) for r in (1, 2, 3))
        self.decoder = nn.Conv2d(18, classes, 1)

    def forward(self, image):
        h = self.encoder(image)
        h = torch.cat([F.relu(branch(h)) for branch in self.pyramid], dim=1)
        return F.interpolate(self.decoder(h), image.shape[-2:], mode="bilinear", align_corners=False)


def soft_dice(logits, target):
    p = logits.softmax(1)
    t = F.one_hot(target, p.size(1)).permute(0, 3, 1, 2)
    return 1 - (2 * (p * t).sum((0, 2, 3)) / (p + t).sum((0, 2, 3))).mean()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--backbone-factor", type=float, default=10)
    args = parser.parse_args()
    torch.manual_seed(0)
    net = SegNet()
    groups = [
        {"params": net.encoder.parameters(), "lr": args.lr // args.backbone_factor},
        {"params": [*net.pyramid.parameters(), *net.decoder.parameters()]},
    ]
    optimizer = torch.optim.SGD(groups, lr=args.lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=40, power=0.9)
    for step in range(4):
        image, mask = torch.rand(4, 3, 16, 16), torch.randint(0, 3, (4, 16, 16))
        logits = net(image)
        loss = F.cross_entropy(logits, mask) + soft_dice(logits, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        print(step, loss.item())


if __name__ == "__main__":
    main()
