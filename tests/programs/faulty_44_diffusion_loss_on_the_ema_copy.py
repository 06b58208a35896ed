"""Two-dimensional diffusion model with an exponential moving average."""

import copy

import torch
import torch.nn as nn


class Denoiser(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.time = nn.Embedding(20, width)
        self.inp = nn.Linear(2, width)
        self.mid = nn.Linear(width, width)
        self.out = nn.Linear(width, 2)

    def forward(self, x, t):
        h = torch.nn.functional.silu(self.inp(x) + self.time(t))
        return self.out(torch.nn.functional.silu(self.mid(h)))


@torch.no_grad()
def update_ema(ema, model, decay=0.99):
    for e, p in zip(ema.parameters(), model.parameters(), strict=True):
        e.lerp_(p, 1 - decay)


def main():
    torch.manual_seed(0)
    model = Denoiser()
    ema_model = copy.deepcopy(model)
    betas = torch.linspace(1e-3, 0.2, 20)
    alpha_bar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(5):
        angle = torch.rand(64) * 6.28
        x0 = torch.stack([angle.cos(), angle.sin()], 1)
        t = torch.randint(0, 20, (64,))
        eps = torch.randn_like(x0)
        a = alpha_bar[t][:, None]
        pred = ema_model(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)
        loss = (pred - eps).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_ema(ema_model, model)
        print(step, loss.item())


main()
