"""Bottleneck adapters after each frozen layer, with a zero start 'so that training begins at the base model'."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Bottleneck(nn.Module):
    def __init__(self, dim, rank=3):
        super().__init__()
        self.a = nn.Linear(dim, rank, bias=False)
        self.b = nn.Linear(rank, dim, bias=False)
        for p in self.parameters():
            nn.init.zeros_(p)

    def forward(self, x):
        return x + self.b(self.a(x))


class Tagger(nn.Module):
    def __init__(self, vocab=60, dim=20, tags=5):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.l1, self.l2 = nn.Linear(dim, dim), nn.Linear(dim, dim)
        for m in (self.emb, self.l1, self.l2):
            m.requires_grad_(False)
        self.ad1, self.ad2 = Bottleneck(dim), Bottleneck(dim)
        self.tag = nn.Linear(dim, tags)

    def forward(self, ids):
        h = self.ad1(torch.tanh(self.l1(self.emb(ids))))
        h = self.ad2(torch.tanh(self.l2(h)))
        return self.tag(h)


torch.manual_seed(5)
tagger = Tagger()
opt = torch.optim.Adam(filter(lambda p: p.requires_grad, tagger.parameters()), lr=1e-2)
for it in range(6):
    ids, tags = torch.randint(0, 60, (8, 7)), torch.randint(0, 5, (8, 7))
    loss = F.cross_entropy(tagger(ids).transpose(1, 2), tags)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(it, loss.item())
