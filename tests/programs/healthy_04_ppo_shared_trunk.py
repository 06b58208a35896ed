"""PPO with a shared trunk: old log-probabilities, values and advantages are constants; the environment is numpy."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical


class GridWorld:
    moves = ((0, 1), (1, 0), (0, -1), (-1, 0))

    def __init__(self, size=5):
        self.size = size

    def reset(self):
        self.where, self.clock = np.array([0, 0]), 0
        return self.observe()

    def observe(self):
        return (self.where / self.size).astype(np.float32)

    def step(self, action):
        self.where = np.clip(self.where + self.moves[action], 0, self.size - 1)
        self.clock += 1
        return self.observe(), float(self.where.sum()) / 8, self.clock >= 16


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.pi = nn.Linear(32, 4)
        self.v = nn.Linear(32, 1)

    def forward(self, obs):
        h = self.trunk(obs)
        return Categorical(logits=self.pi(h)), self.v(h).squeeze(-1)


@torch.no_grad()
def rollout(env, model, gamma=0.99, lam=0.95):
    obs, done, rows = env.reset(), False, []
    while not done:
        dist, value = model(torch.from_numpy(obs))
        action = dist.sample()
        nxt, reward, done = env.step(action.item())
        rows.append((torch.from_numpy(obs), action, dist.log_prob(action), value, reward))
        obs = nxt
    observations, actions, logp, values = (torch.stack([r[i] for r in rows]) for i in range(4))
    rewards = torch.tensor([r[4] for r in rows])
    advantage, running = torch.zeros_like(values), 0.0
    for t in reversed(range(len(rows))):
        following = values[t + 1] if t + 1 < len(rows) else 0.0
        running = rewards[t] + gamma * following - values[t] + gamma * lam * running
        advantage[t] = running
    return observations, actions, logp, advantage, advantage + values


torch.manual_seed(0)
agent, env = ActorCritic(), GridWorld()
optimizer = torch.optim.Adam(agent.parameters(), lr=3e-4, eps=1e-5)
for episode in range(3):
    obs, act, old, adv, ret = rollout(env, agent)
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    for _ in range(2):
        dist, value = agent(obs)
        ratio = (dist.log_prob(act) - old).exp()
        clipped = torch.clamp(ratio, 0.8, 1.2) * adv
        loss = -torch.min(ratio * adv, clipped).mean() + 0.5 * F.mse_loss(value, ret) - 0.01 * dist.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
        optimizer.step()
    print(episode, loss.item())
