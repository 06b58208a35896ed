"""GAN inversion: only a latent and per-layer noise are optimised, the generator is left requiring gradients."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Generator(nn.Module):
    def __init__(self, latent=8):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(latent, 16), nn.LeakyReLU(0.2))
        self.const = nn.Parameter(torch.randn(1, 4, 4, 4))
        self.style = nn.Linear(16, 4)
        self.conv = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, w, noise):
        x = self.const * self.style(w)[:, :, None, None] + noise
        return torch.tanh(self.conv(F.interpolate(x, scale_factor=2)))


class Perceptual(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))

    def forward(self, a, b):
        return F.mse_loss(self.features(a), self.features(b))


torch.manual_seed(0)
generator, lpips = Generator().eval(), Perceptual().eval()
target = torch.rand(1, 3, 8, 8)
with torch.no_grad():
    w_mean = generator.mapping(torch.randn(200, 8)).mean(0, keepdim=True)
w = w_mean.clone().requires_grad_(True)
noise = torch.zeros(1, 4, 4, 4, requires_grad=True)
optimizer = torch.optim.Adam([w, noise], lr=0.05)
for step in range(5):
    image = generator(w, noise)
    loss = F.mse_loss(image, target) + 0.5 * lpips(image, target) + 1e-3 * noise.pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
