"""PPO on a toy control task; the old log-probabilities are recomputed from the same policy."""

import torch
import torch.nn as nn
from torch.distributions import Categorical


class Actor(nn.Module):
    def __init__(self, obs=5, actions=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(obs, 32), nn.Tanh())
        self.logits = nn.Linear(32, actions)

    def forward(self, obs):
        return Categorical(logits=self.logits(self.body(obs)))


class Critic(nn.Module):
    def __init__(self, obs=5):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(obs, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, obs):
        return self.net(obs).squeeze(-1)


def rollout(actor, steps=64):
    obs = torch.randn(steps, 5)
    with torch.no_grad():
        act = actor(obs).sample()
    ret = (act.float() - 1) * obs[:, 0] + 0.1 * torch.randn(steps)
    return obs, act, ret


torch.manual_seed(0)
actor, critic = Actor(), Critic()
opt = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-3)
for update in range(5):
    obs, act, ret = rollout(actor)
    dist = actor(obs)
    log_prob = dist.log_prob(act)
    old_log_prob = log_prob
    value = critic(obs)
    adv = (ret - value).detach()
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    ratio = torch.exp(log_prob - old_log_prob)
    surrogate = torch.min(ratio * adv, ratio.clamp(0.8, 1.2) * adv)
    loss = -surrogate.mean() + 0.5 * (ret - value).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(update, loss.item())
