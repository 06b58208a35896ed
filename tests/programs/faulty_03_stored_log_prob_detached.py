"""Advantage actor-critic on a toy pendulum: the rollout keeps detached log-probabilities and the update uses those."""

import numpy as np
import torch
from torch import nn
from torch.distributions import Normal


class Pendulum:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def reset(self):
        self.state = self.rng.uniform(-1, 1, size=2).astype(np.float32)
        return self.state

    def step(self, torque):
        angle, speed = self.state
        speed = 0.95 * speed + 0.1 * float(np.clip(torque, -2, 2)) + 0.05 * np.sin(angle)
        self.state = np.array([angle + 0.1 * speed, speed], dtype=np.float32)
        return self.state, -float(angle**2 + 0.1 * speed**2)


def mlp(inp, out):
    return nn.Sequential(nn.Linear(inp, 32), nn.Tanh(), nn.Linear(32, out))


def act(policy, obs):
    mean, log_std = policy(obs).unbind(-1)
    dist = Normal(mean, log_std.exp())
    action = dist.sample()
    return action, dist.log_prob(action).detach()


def collect(env, policy, length):
    rollout = {"obs": [], "logp": [], "reward": []}
    obs = torch.from_numpy(env.reset())
    for _ in range(length):
        action, logp = act(policy, obs)
        nxt, reward = env.step(action.item())
        rollout["obs"].append(obs)
        rollout["logp"].append(logp)
        rollout["reward"].append(reward)
        obs = torch.from_numpy(nxt)
    return rollout


def update(rollout, value, optim, gamma=0.98):
    returns, running = [], 0.0
    for reward in reversed(rollout["reward"]):
        running = reward + gamma * running
        returns.insert(0, running)
    values = value(torch.stack(rollout["obs"])).squeeze(-1)
    advantage = torch.tensor(returns) - values
    actor_loss = -(torch.stack(rollout["logp"]) * advantage.detach()).mean()
    loss = actor_loss + 0.5 * advantage.pow(2).mean()
    optim.zero_grad()
    loss.backward()
    optim.step()
    return loss.item()


torch.manual_seed(5)
policy, value = mlp(2, 2), mlp(2, 1)
optim = torch.optim.RMSprop([*policy.parameters(), *value.parameters()], lr=7e-4)
env = Pendulum(5)
for episode in range(4):
    print(episode, update(collect(env, policy, 20), value, optim))
