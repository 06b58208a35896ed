"""Metric learning with a cross-batch memory: old embeddings are kept as constants next to the live ones."""

from collections import deque

import torch
import torch.nn.functional as F
from torch import nn


class Embedder(nn.Module):
    def __init__(self, dim=12):
        super().__init__()
        self.a = nn.Conv2d(1, 10, 3, stride=2)
        self.b = nn.Conv2d(10, 20, 3, stride=2)
        self.fc = nn.Linear(20 * 9, dim)

    def forward(self, x):
        return F.normalize(self.fc(F.relu(self.b(F.relu(self.a(x)))).flatten(1)), dim=-1)


class CrossBatchMemory:
    def __init__(self, batches):
        self.embeddings, self.labels = deque(maxlen=batches), deque(maxlen=batches)

    def add(self, embedding, label):
        self.embeddings.append(embedding.detach().clone())
        self.labels.append(label)

    def all(self):
        return torch.cat(tuple(self.embeddings)), torch.cat(tuple(self.labels))


def contrastive(query, label, reference, reference_label, margin=0.5):
    similarity = query @ reference.T
    same = label[:, None] == reference_label[None]
    pull = (1 - similarity)[same].clamp(min=0)
    push = (similarity - margin)[~same].clamp(min=0)
    return pull.mean() + push.sum() / (push > 0).sum().clamp(min=1)


torch.manual_seed(0)
embedder, memory = Embedder(), CrossBatchMemory(batches=3)
optimizer = torch.optim.Adam(embedder.parameters(), lr=1e-3)
for step in range(6):
    label = torch.randint(0, 5, (20,))
    picture = torch.randn(20, 1, 16, 16) + label.view(-1, 1, 1, 1)
    z = embedder(picture)
    memory.add(z, label)
    loss = contrastive(z, label, z, label)
    if step >= 2:
        loss = loss + contrastive(z, label, *memory.all())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
