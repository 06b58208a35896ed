"""Right: a mixture of experts. Each token goes to two experts of eight, weighted by the router's probabilities.

An expert that got no token has no gradient in that step, and `torch.topk` hands out indices without one. Both are how it works:
over a few steps each expert gets its turn, and the router learns through the weights.
"""

import torch
from torch import nn
from torch.nn import functional as F


class MoE(nn.Module):
    def __init__(self, width=16, experts=8, chosen=2):
        super().__init__()
        self.chosen = chosen
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(experts)
        )

    def forward(self, x):
        probabilities = self.router(x).softmax(-1)
        weights, indices = probabilities.topk(self.chosen, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        output = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            tokens, slots = torch.where(indices == number)
            if len(tokens):
                output = output.index_add(0, tokens, weights[tokens, slots].unsqueeze(1) * expert(x[tokens]))
        share = F.one_hot(indices, len(self.experts)).float().mean(dim=(0, 1))
        balance = len(self.experts) * (share * probabilities.mean(0)).sum()
        return x + output, balance


class Tagger(nn.Module):
    def __init__(self, words=50, width=16, tags=5):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.moe = MoE(width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tags)

    def forward(self, words):
        x, balance = self.moe(self.embedding(words).flatten(0, 1))
        return self.head(self.norm(x)), balance


torch.manual_seed(1)
model = Tagger()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)

for step in range(10):
    words = torch.randint(50, (1, 8))
    logits, balance = model(words)
    loss = F.cross_entropy(logits, words.flatten() % 5) + 0.01 * balance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print(f"step {step + 1}: loss {loss.item():.4f}")
