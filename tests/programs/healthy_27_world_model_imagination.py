"""World model, actor and critic; the actor is trained through imagined steps of the (not stepped) world model."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
world = nn.ModuleDict({"encode": nn.Linear(6, 12), "step": nn.GRUCell(2, 12), "reward": nn.Linear(12, 1), "decode": nn.Linear(12, 6)})
actor = nn.Sequential(nn.Linear(12, 16), nn.ELU(), nn.Linear(16, 2), nn.Tanh())
critic = nn.Sequential(nn.Linear(12, 16), nn.ELU(), nn.Linear(16, 1))
opts = {name: torch.optim.Adam(m.parameters(), 1e-3) for name, m in (("world", world), ("actor", actor), ("critic", critic))}


def train_world(obs, act, rew):
    h, loss = world["encode"](obs[0]), 0.0
    for t in range(len(act)):
        h = world["step"](act[t], h)
        loss = loss + F.mse_loss(world["decode"](h), obs[t + 1]) + F.mse_loss(world["reward"](h).squeeze(-1), rew[t])
    opts["world"].zero_grad()
    loss.backward()
    opts["world"].step()
    return h.detach()


def train_behaviour(start, horizon=4):
    h, states, rewards = start, [], []
    for _ in range(horizon):
        h = world["step"](actor(h), h)
        states.append(h)
        rewards.append(world["reward"](h))
    value = critic(states[-1])
    returns = []
    for r in reversed(rewards):
        value = r + 0.95 * value
        returns.insert(0, value)
    actor_loss = -torch.stack(returns).mean()
    opts["actor"].zero_grad()
    actor_loss.backward()
    opts["actor"].step()
    target = torch.stack(returns).detach()
    critic_loss = F.mse_loss(critic(torch.stack(states).detach()), target)
    opts["critic"].zero_grad()
    critic_loss.backward()
    opts["critic"].step()
    return actor_loss.item(), critic_loss.item()


for it in range(4):
    start = train_world(torch.randn(5, 8, 6), torch.randn(4, 8, 2), torch.randn(4, 8))
    print(it, *train_behaviour(start))
