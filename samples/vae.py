"""Right: a convolutional variational autoencoder, with the noise drawn outside of the graph (the reparametrisation trick).

The running mean of the loss is taken with `.item()`, and pictures are drawn under torch.no_grad(): neither is on the way of a gradient.
"""

import torch
from torch import nn
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self, latent=4):
        super().__init__()
        self.latent = latent
        self.encoder = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.SiLU(), nn.Flatten())
        self.mean = nn.Linear(16 * 3 * 3, latent)
        self.log_variance = nn.Linear(16 * 3 * 3, latent)
        self.expand = nn.Linear(latent, 16 * 3 * 3)
        self.decoder = nn.Sequential(nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.SiLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid())

    def decode(self, z):
        return self.decoder(self.expand(z).view(-1, 16, 3, 3))

    def forward(self, x):
        features = self.encoder(x)
        mean, log_variance = self.mean(features), self.log_variance(features)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return self.decode(z), mean, log_variance

    @torch.no_grad()
    def draw(self, count):
        return self.decode(torch.randn(count, self.latent))


torch.manual_seed(0)
model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
images = (torch.randn(32, 1, 3, 3) > 0).float().repeat_interleave(4, 2).repeat_interleave(4, 3)
running = None

for step in range(20):
    output, mean, log_variance = model(images)
    reconstruction = F.binary_cross_entropy(output, images, reduction="sum") / len(images)
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
    loss = reconstruction + divergence
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    running = loss.item() if running is None else 0.9 * running + 0.1 * loss.item()
    if step % 5 == 4:
        print(f"step {step + 1}: running loss {running:.2f}, brightness {model.draw(4).mean().item():.3f}")
