"""Heteroscedastic regression of sensor curves; one noise scale per channel should be learned beside the mean."""

import math

import torch
from torch import nn


class CurveNet(nn.Module):
    def __init__(self, channels=3, width=24):
        super().__init__()
        self.encoder = nn.Conv1d(channels, width, 7, padding=3)
        self.gate = nn.Conv1d(width, width, 1)
        self.decoder = nn.Conv1d(width, channels, 7, padding=3)
        self.log_noise = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        h = self.encoder(x)
        return self.decoder(torch.tanh(h) * torch.sigmoid(self.gate(h)))


def gaussian_nll(pred, target, log_noise):
    total = 0.0
    for channel, log_sigma in enumerate(log_noise.tolist()):
        residual = (pred[:, channel] - target[:, channel]) / math.exp(log_sigma)
        total = total + 0.5 * residual.pow(2).mean() + log_sigma
    return total


torch.manual_seed(21)
net = CurveNet()
opt = torch.optim.Adam(
    [{"params": [net.log_noise], "lr": 1e-2}, {"params": [p for n, p in net.named_parameters() if n != "log_noise"]}], lr=1e-3
)
schedule = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.9)
clean = torch.sin(torch.linspace(0, 12, 64)).expand(10, 3, 64)
for it in range(5):
    noisy = clean + torch.tensor([0.05, 0.2, 0.8]).view(1, 3, 1) * torch.randn(10, 3, 64)
    nll = gaussian_nll(net(noisy), clean, net.log_noise)
    opt.zero_grad()
    nll.backward()
    opt.step()
    schedule.step()
    print(it, f"{nll.item():.3f}")
