"""Tiny one-stage detector; the reduced (logging) copies of the losses are summed and made to require grad again."""

import torch
import torch.nn.functional as F
from torch import nn


class Detector(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.PReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.PReLU())
        self.cls_head = nn.Conv2d(24, classes, 1)
        self.box_head = nn.Conv2d(24, 4, 1)
        self.obj_head = nn.Conv2d(24, 1, 1)

    def forward(self, image, targets):
        fmap = self.backbone(image)
        positive = targets["mask"].unsqueeze(1)
        return {
            "objectness": F.binary_cross_entropy_with_logits(self.obj_head(fmap), positive),
            "class": F.cross_entropy(self.cls_head(fmap), targets["label"]),
            "box": (positive * F.smooth_l1_loss(self.box_head(fmap), targets["box"], reduction="none")).mean(),
        }


def reduce_dict(losses, world_size=1):
    with torch.no_grad():
        return {name: value.detach() / world_size for name, value in losses.items()}


def fake_batch(n=4, grid=4):
    targets = {
        "mask": (torch.rand(n, grid, grid) > 0.7).float(),
        "label": torch.randint(0, 3, (n, grid, grid)),
        "box": torch.rand(n, 4, grid, grid),
    }
    return torch.randn(n, 3, 16, 16), targets


def train_one_epoch(model, optimizer, steps):
    for step in range(steps):
        image, targets = fake_batch()
        reduced = reduce_dict(model(image, targets))
        total = sum(reduced.values()).requires_grad_()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        print(step, {k: round(v.item(), 3) for k, v in reduced.items()})


torch.manual_seed(2)
detector = Detector()
train_one_epoch(detector, torch.optim.SGD(detector.parameters(), lr=0.01, momentum=0.9), steps=4)
