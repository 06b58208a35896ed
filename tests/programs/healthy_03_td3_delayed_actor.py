"""TD3 on a numpy point mass: twin critics, Polyak targets, an actor that steps every second update."""

import copy
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.q1 = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1))
        self.q2 = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, obs, action):
        x = torch.cat([obs, action], -1)
        return self.q1(x), self.q2(x)


def environment_step(state, force):
    velocity = 0.9 * state[1] + 0.1 * float(force)
    new = np.array([state[0] + velocity, velocity], dtype=np.float32)
    return new, -abs(float(new[0]))


torch.manual_seed(0)
random.seed(0)
actor = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1), nn.Tanh())
critic = Critic()
actor_target, critic_target = copy.deepcopy(actor), copy.deepcopy(critic)
actor_optim = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_optim = torch.optim.Adam(critic.parameters(), lr=1e-3)

memory, state = [], np.array([1.0, 0.0], dtype=np.float32)
for t in range(40):
    with torch.no_grad():
        force = actor(torch.from_numpy(state)).numpy() + 0.1 * np.random.default_rng(t).normal(size=1)
    following, reward = environment_step(state, force[0])
    memory.append((state, force.astype(np.float32), reward, following))
    state = following
    if t < 24:
        continue
    obs, act, rew, nxt = (torch.as_tensor(np.array(part), dtype=torch.float32) for part in zip(*random.sample(memory, 16), strict=True))
    with torch.no_grad():
        noise = (0.2 * torch.randn_like(act)).clamp(-0.5, 0.5)
        backup = torch.min(*critic_target(nxt, (actor_target(nxt) + noise).clamp(-1, 1)))
        goal = rew.unsqueeze(-1) + 0.99 * backup
    q1, q2 = critic(obs, act)
    critic_loss = F.mse_loss(q1, goal) + F.mse_loss(q2, goal)
    critic_optim.zero_grad()
    critic_loss.backward()
    critic_optim.step()
    if t % 2 == 1:
        actor_loss = -critic(obs, actor(obs))[0].mean()
        actor_optim.zero_grad()
        actor_loss.backward()
        actor_optim.step()
        with torch.no_grad():
            for slow, fast in ((actor_target, actor), (critic_target, critic)):
                for a, b in zip(slow.parameters(), fast.parameters(), strict=True):
                    a.mul_(0.995).add_(b, alpha=0.005)
        print(t, critic_loss.item(), actor_loss.item())
