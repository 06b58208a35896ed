"""Squeeze-and-excitation classifier; the squeeze is normalised with one group per channel."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SE(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.squeeze = nn.Conv2d(ch, ch, 1, bias=False)
        self.norm = nn.GroupNorm(ch, ch)
        self.excite = nn.Conv2d(ch, ch, 1)

    def forward(self, x):
        s = F.adaptive_avg_pool2d(x, 1)
        s = self.norm(self.squeeze(s))
        return x * torch.sigmoid(self.excite(F.relu(s + 0.5)))


class SENet(nn.Module):
    def __init__(self, ch=8):
        super().__init__()
        self.stem = nn.Conv2d(1, ch, 3, padding=1)
        self.se = SE(ch)
        self.fc = nn.Linear(ch, 4)

    def forward(self, x):
        return self.fc(self.se(F.relu(self.stem(x))).mean((2, 3)))


torch.manual_seed(0)
model = SENet()
opt = torch.optim.SGD(model.parameters(), 0.1)
for step in range(4):
    x, y = torch.randn(8, 1, 9, 9), torch.randint(0, 4, (8,))
    loss = F.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
