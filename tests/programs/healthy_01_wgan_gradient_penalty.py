"""WGAN-GP on points: five critic steps per generator step; the penalty differentiates a gradient."""

import torch
from torch import nn


def net(inp, out):
    return nn.Sequential(nn.Linear(inp, 48), nn.LeakyReLU(0.2), nn.Linear(48, 48), nn.LeakyReLU(0.2), nn.Linear(48, out))


def ring(n):
    angle = torch.rand(n) * 6.2832
    return torch.stack([angle.cos(), angle.sin()], -1) + 0.02 * torch.randn(n, 2)


def gradient_penalty(critic, real, fake):
    mix = torch.rand(len(real), 1)
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.norm(2, dim=1) - 1) ** 2).mean()


torch.manual_seed(0)
generator, critic = net(4, 2), net(2, 1)
opt_g = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.0, 0.9))
opt_c = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
for step in range(20):
    real = ring(32)
    with torch.no_grad():
        fake = generator(torch.randn(32, 4))
    c_loss = critic(fake).mean() - critic(real).mean() + 10 * gradient_penalty(critic, real, fake)
    opt_c.zero_grad()
    c_loss.backward()
    opt_c.step()
    if (step + 1) % 5 == 0:
        for p in critic.parameters():
            p.requires_grad_(False)
        g_loss = -critic(generator(torch.randn(32, 4))).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        for p in critic.parameters():
            p.requires_grad_(True)
        print(step, c_loss.item(), g_loss.item())
