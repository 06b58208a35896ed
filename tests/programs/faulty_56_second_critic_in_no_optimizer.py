"""Clipped double Q-learning; both critics are built alike, and one optimizer forgets the second."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Critic(nn.Module):
    def __init__(self, obs=5, act=2):
        super().__init__()
        self.inp = nn.Linear(obs + act, 24)
        self.out = nn.Linear(24, 1)

    def forward(self, obs, act):
        return self.out(F.relu(self.inp(torch.cat([obs, act], -1)))).squeeze(-1)


torch.manual_seed(0)
critic_a, critic_b = Critic(), Critic()
optimizer = torch.optim.Adam(critic_a.parameters(), lr=1e-3)
for step in range(5):
    obs, act, reward = torch.randn(16, 5), torch.rand(16, 2), torch.randn(16)
    nxt = torch.randn(16, 5)
    with torch.no_grad():
        target = reward + 0.99 * torch.min(critic_a(nxt, act), critic_b(nxt, act))
    loss = F.mse_loss(critic_a(obs, act), target) + F.mse_loss(critic_b(obs, act), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
