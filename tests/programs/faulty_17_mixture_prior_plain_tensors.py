"""Deep clustering with an autoencoder and a learned Gaussian mixture in the code space."""

import math

import torch
from torch import nn


class DeepClusters(nn.Module):
    def __init__(self, features=16, code=4, clusters=5):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(features, 32), nn.CELU(), nn.Linear(32, code))
        self.decode = nn.Sequential(nn.Linear(code, 32), nn.CELU(), nn.Linear(32, features))
        self.centres = torch.randn(clusters, code, requires_grad=True)
        self.log_var = nn.Parameter(torch.zeros(clusters, code))
        self.weight = nn.Parameter(torch.zeros(clusters))

    def log_mixture(self, z):
        diff = z.unsqueeze(1) - self.centres
        log_prob = -0.5 * (diff.pow(2) / self.log_var.exp() + self.log_var + math.log(2 * math.pi)).sum(-1)
        return torch.logsumexp(self.weight.log_softmax(0) + log_prob, dim=1)

    def forward(self, x):
        z = self.encode(x)
        return (self.decode(z) - x).pow(2).sum(-1).mean(), -self.log_mixture(z).mean()


torch.manual_seed(31)
model = DeepClusters()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
data = torch.randn(64, 16) + 3 * torch.randint(0, 3, (64, 1))
for epoch in range(4):
    reconstruction, mixture = model(data)
    loss = reconstruction + 0.1 * mixture
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, reconstruction.item(), mixture.item())
