"""ULMFiT-like fine-tuning: the classifier first, then one more layer group per epoch, each added to the optimizer."""

import torch
import torch.nn.functional as F
from torch import nn


class Reader(nn.Module):
    def __init__(self, vocab=80, dim=20, classes=3):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        self.lower = nn.GRU(dim, dim, batch_first=True)
        self.upper = nn.GRU(dim, dim, batch_first=True)
        self.classifier = nn.Linear(2 * dim, classes)

    def forward(self, ids):
        h, _ = self.lower(self.embedding(ids))
        h, _ = self.upper(h)
        return self.classifier(torch.cat([h.mean(1), h.amax(1)], -1))


def unfreeze(optimizer, module, lr):
    module.requires_grad_(True)
    optimizer.add_param_group({"params": list(module.parameters()), "lr": lr})


torch.manual_seed(0)
reader = Reader()
for name, p in reader.named_parameters():
    p.requires_grad_(name.startswith("classifier"))
optimizer = torch.optim.Adam(reader.classifier.parameters(), lr=1e-2)
queue = [reader.upper, reader.lower, reader.embedding]
ids, label = torch.randint(0, 80, (48, 11)), torch.randint(0, 3, (48,))
for epoch in range(5):
    if epoch and queue:
        unfreeze(optimizer, queue.pop(0), lr=1e-2 / 2.6**epoch)
    for rows in torch.randperm(48).split(24):
        loss = F.cross_entropy(reader(ids[rows]), label[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, len(optimizer.param_groups), loss.item())
