"""Supervised training with a consistency head whose weight is zero for the first steps."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(9, 24), nn.ReLU())
        self.classify = nn.Linear(24, 4)
        self.rotate = nn.Linear(24, 2)

    def forward(self, x):
        h = self.body(x)
        return self.classify(h), self.rotate(h)


def ramp(step, start=4, length=8):
    return max(0.0, min(1.0, (step - start) / length))


torch.manual_seed(0)
model = TwoHeads()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(20):
    x, y, r = torch.randn(16, 9), torch.randint(0, 4, (16,)), torch.randint(0, 2, (16,))
    logits, rotation = model(x)
    loss = F.cross_entropy(logits, y) + ramp(step) * F.cross_entropy(rotation, r)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, round(loss.item(), 3), ramp(step))
