"""DDPG on a point-mass with a small replay buffer."""

import copy
import random
from collections import deque

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
random.seed(0)


def mlp(*sizes, last=None):
    layers = []
    for a, b in zip(sizes, sizes[1:], strict=False):  # noqa: RUF007
        layers += [nn.Linear(a, b), nn.ReLU()]
    layers[-1] = last if last is not None else nn.Identity()
    return nn.Sequential(*layers)


class Agent:
    def __init__(self, obs=4, act=2):
        self.actor = mlp(obs, 32, act, last=nn.Tanh())
        self.critic = mlp(obs + act, 32, 1)
        self.actor_target = copy.deepcopy(self.actor).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), 1e-3)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), 1e-3)

    def q(self, net, s, a):
        return net(torch.cat([s, a], -1))

    def update(self, batch):
        s, a, r, s2 = (torch.stack(x) for x in zip(*batch, strict=True))
        with torch.no_grad():
            target = r[:, None] + 0.98 * self.q(self.critic_target, s2, self.actor_target(s2))
        critic_loss = F.mse_loss(self.q(self.critic, s, a), target)
        self.critic_opt.zero_grad()
        critic_loss.backward()
        self.critic_opt.step()

        actor_loss = -self.q(self.critic, s, a).mean()
        self.actor_opt.zero_grad()
        actor_loss.backward()
        self.actor_opt.step()

        for online, target in ((self.actor, self.actor_target), (self.critic, self.critic_target)):
            for p, t in zip(online.parameters(), target.parameters(), strict=True):
                t.data.mul_(0.995).add_(p.data, alpha=0.005)
        return critic_loss.item(), actor_loss.item()


agent = Agent()
replay = deque(maxlen=500)
state = torch.randn(4)
for t in range(40):
    with torch.no_grad():
        action = (agent.actor(state) + 0.2 * torch.randn(2)).clamp(-1, 1)
    nxt = state + torch.cat([action, action]) * 0.1
    replay.append((state, action, -nxt.norm(), nxt))
    state = nxt
    if len(replay) >= 16 and t % 4 == 0:
        print(t, *agent.update(random.sample(replay, 16)))
