"""Discrete autoencoder with hard Gumbel codes, straight-through by hand, and a falling temperature kept as a float."""

import torch
import torch.nn.functional as F
from torch import nn


def hard_gumbel(logits, tau):
    noise = -torch.log(-torch.log(torch.rand_like(logits).clamp(1e-9, 1 - 1e-7)))
    soft = ((logits + noise) / tau).softmax(-1)
    hard = F.one_hot(soft.argmax(-1), logits.size(-1)).to(soft.dtype)
    return (hard - soft).detach() + soft


class DiscreteAutoencoder(nn.Module):
    def __init__(self, features=20, slots=4, symbols=8, dim=6):
        super().__init__()
        self.slots, self.symbols = slots, symbols
        self.encoder = nn.Sequential(nn.Linear(features, 40), nn.ReLU(), nn.Linear(40, slots * symbols))
        self.symbol = nn.Linear(symbols, dim, bias=False)
        self.decoder = nn.Sequential(nn.Linear(slots * dim, 40), nn.ReLU(), nn.Linear(40, features))

    def forward(self, x, tau):
        logits = self.encoder(x).view(-1, self.slots, self.symbols)
        code = hard_gumbel(logits, tau)
        prior = torch.full_like(logits, 1 / self.symbols).log()
        q = logits.log_softmax(-1)
        kl = (q.exp() * (q - prior)).sum((-1, -2)).mean()
        return self.decoder(self.symbol(code).flatten(1)), kl, logits.argmax(-1)


torch.manual_seed(0)
model = DiscreteAutoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
tau = 1.0
for step in range(5):
    x = torch.randn(32, 20)
    reconstruction, kl, used = model(x, tau)
    loss = F.mse_loss(reconstruction, x) + 0.01 * kl
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    tau = max(0.5, 0.95 * tau)
    print(step, loss.item(), "symbols used", used.unique().numel())
