"""Denoising diffusion with a time-conditioned UNet, zero-initialised convolutions and an EMA copy used only to sample."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn


def zero_module(module):
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


class ResBlock(nn.Module):
    def __init__(self, cin, cout, temb):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1)
        self.time = nn.Linear(temb, cout)
        self.norm = nn.GroupNorm(2, cout)
        self.conv2 = zero_module(nn.Conv2d(cout, cout, 3, padding=1))
        self.skip = nn.Conv2d(cin, cout, 1)

    def forward(self, x, t):
        h = self.conv1(x) + self.time(t)[..., None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm(h)))


class Denoiser(nn.Module):
    def __init__(self, base=8, temb=16):
        super().__init__()
        self.half = temb // 2
        self.time = nn.Sequential(nn.Linear(temb, temb), nn.SiLU())
        self.down = ResBlock(1, base, temb)
        self.middle = ResBlock(base, 2 * base, temb)
        self.up = ResBlock(3 * base, base, temb)
        self.out = zero_module(nn.Conv2d(base, 1, 3, padding=1))

    def forward(self, x, t):
        angle = t[:, None] * torch.exp(-math.log(100) * torch.arange(self.half) / self.half)
        t = self.time(torch.cat([angle.sin(), angle.cos()], -1))
        a = self.down(x, t)
        b = F.interpolate(self.middle(F.avg_pool2d(a, 2), t), scale_factor=2)
        return self.out(F.silu(self.up(torch.cat([a, b], 1), t)))


torch.manual_seed(0)
alpha_bar = torch.cumprod(1 - torch.linspace(1e-3, 0.1, 40), 0)
model = Denoiser()
ema = copy.deepcopy(model).eval().requires_grad_(False)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(8):
    clean, noise, t = torch.rand(8, 1, 8, 8), torch.randn(8, 1, 8, 8), torch.randint(0, 40, (8,))
    scale = alpha_bar[t].view(-1, 1, 1, 1)
    loss = F.mse_loss(model(scale.sqrt() * clean + (1 - scale).sqrt() * noise, t.float()), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(ema.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast, 0.1)
    print(step, loss.item())
print("sample", ema(torch.randn(1, 1, 8, 8), torch.tensor([39.0])).mean().item())
