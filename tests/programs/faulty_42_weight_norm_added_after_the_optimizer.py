"""Causal convolutional audio model; weight normalisation is switched on for training only."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import weight_norm


class Residual(nn.Module):
    def __init__(self, ch, dilation):
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.Conv1d(ch, ch, 3, dilation=dilation)
        self.mix = nn.Conv1d(ch, ch, 1)

    def forward(self, x):
        return x + self.mix(torch.tanh(self.conv(F.pad(x, (self.pad, 0)))))


class TCN(nn.Module):
    def __init__(self, ch=12):
        super().__init__()
        self.inp = nn.Conv1d(1, ch, 1)
        self.body = nn.ModuleList(Residual(ch, 2**i) for i in range(3))
        self.out = nn.Conv1d(ch, 1, 1)

    def forward(self, wave):
        x = self.inp(wave)
        for block in self.body:
            x = block(x)
        return self.out(x)

    def normalise(self):
        for block in self.body:
            weight_norm(block.conv)


torch.manual_seed(3)
model = TCN()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
model.normalise()
model.train()
for step in range(5):
    wave = torch.randn(4, 1, 65).cumsum(-1) * 0.1
    loss = F.l1_loss(model(wave[..., :-1]), wave[..., 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
