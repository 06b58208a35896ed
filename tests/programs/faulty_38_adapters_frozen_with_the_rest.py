"""Adapter tuning: the freezing loop comes after the adapters were inserted and freezes them as well."""

import torch
import torch.nn.functional as F
from torch import nn


class Adapter(nn.Module):
    def __init__(self, dim, bottleneck=4):
        super().__init__()
        self.down = nn.Linear(dim, bottleneck)
        self.up = nn.Linear(bottleneck, dim)

    def forward(self, x):
        return x + self.up(F.relu(self.down(x)))


class Layer(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.mix = nn.Conv1d(dim, dim, 3, padding=1)
        self.norm = nn.LayerNorm(dim)
        self.adapter = nn.Identity()

    def forward(self, x):
        mixed = self.mix(x.transpose(1, 2)).transpose(1, 2)
        return self.adapter(self.norm(x + F.gelu(mixed)))


class Encoder(nn.Module):
    def __init__(self, vocab=70, dim=20, depth=2):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        self.layers = nn.ModuleList(Layer(dim) for _ in range(depth))

    def forward(self, ids):
        h = self.embedding(ids)
        for layer in self.layers:
            h = layer(h)
        return h.mean(1)


def insert_adapters(encoder, dim=20):
    for layer in encoder.layers:
        layer.adapter = Adapter(dim)
    for p in encoder.parameters():
        p.requires_grad_(False)
    return [p for layer in encoder.layers for p in layer.adapter.parameters()]


torch.manual_seed(0)
encoder, sentiment = Encoder(), nn.Linear(20, 2)
adapter_optimizer = torch.optim.AdamW(insert_adapters(encoder), lr=1e-3)
head_optimizer = torch.optim.SGD(sentiment.parameters(), lr=0.1)
for step in range(4):
    ids, label = torch.randint(0, 70, (10, 12)), torch.randint(0, 2, (10,))
    loss = F.cross_entropy(sentiment(encoder(ids)), label)
    for optimizer in (adapter_optimizer, head_optimizer):
        optimizer.zero_grad()
    loss.backward()
    for optimizer in (adapter_optimizer, head_optimizer):
        optimizer.step()
    print(step, loss.item())
