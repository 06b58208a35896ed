"""Factorisation machine whose embeddings are pruned by a learned soft threshold, initialised far out in the sigmoid's tail."""

import torch
from torch import nn


class PrunedEmbedding(nn.Module):
    def __init__(self, rows, dim, start=-150.0):
        super().__init__()
        self.table = nn.Parameter(0.1 * torch.randn(rows, dim))
        self.threshold = nn.Parameter(torch.full((dim,), start))

    def forward(self, index):
        v = self.table[index]
        return torch.sign(v) * torch.relu(v.abs() - torch.sigmoid(self.threshold))


class FactorisationMachine(nn.Module):
    def __init__(self, fields=6, per_field=20, dim=8):
        super().__init__()
        self.register_buffer("offset", torch.arange(fields) * per_field)
        self.linear = nn.Embedding(fields * per_field, 1)
        self.factors = PrunedEmbedding(fields * per_field, dim)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, fields):
        index = fields + self.offset
        v = self.factors(index)
        pairwise = 0.5 * (v.sum(1).pow(2) - v.pow(2).sum(1)).sum(-1)
        return self.bias + self.linear(index).sum((1, 2)) + pairwise


torch.manual_seed(41)
machine = FactorisationMachine()
optimizer = torch.optim.Adam(machine.parameters(), lr=1e-2)
clicks = nn.BCEWithLogitsLoss()
for step in range(5):
    fields, label = torch.randint(0, 20, (64, 6)), torch.randint(0, 2, (64,)).float()
    loss = clicks(machine(fields), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 5))
