"""Seq2seq with additive attention; the inverse square-root schedule gives the first optimizer step a rate of exactly zero."""

import torch
import torch.nn.functional as F
from torch import nn

PAD, BOS = 0, 1


class AdditiveAttention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.from_query = nn.Linear(dim, dim, bias=False)
        self.from_memory = nn.Linear(dim, dim)
        self.energy = nn.Linear(dim, 1, bias=False)

    def forward(self, query, memory, mask):
        score = self.energy(torch.tanh(self.from_query(query).unsqueeze(1) + self.from_memory(memory))).squeeze(-1)
        weight = score.masked_fill(mask, float("-inf")).softmax(-1)
        return (weight.unsqueeze(-1) * memory).sum(1)


class Translator(nn.Module):
    def __init__(self, vocab=50, dim=20):
        super().__init__()
        self.table = nn.Embedding(vocab, dim, padding_idx=PAD)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.attention = AdditiveAttention(dim)
        self.cell = nn.GRUCell(2 * dim, dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, source, target, forcing):
        memory, last = self.encoder(self.table(source))
        state, word, logits = last[0], torch.full((len(source),), BOS), []
        for t in range(target.size(1)):
            context = self.attention(state, memory, source == PAD)
            state = self.cell(torch.cat([self.table(word), context], -1), state)
            logits.append(self.out(state))
            word = target[:, t] if torch.rand(()) < forcing else logits[-1].argmax(-1)
        return torch.stack(logits, 1)


def noam(step, warmup=8):
    return min(step / warmup, (warmup / max(step, 1)) ** 0.5)


torch.manual_seed(0)
model = Translator()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.98))
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, noam)
for step in range(6):
    source, target = torch.randint(2, 50, (8, 9)), torch.randint(2, 50, (8, 7))
    source[:3, 6:] = PAD
    target[:4, 5:] = PAD
    logits = model(source, target, forcing=0.7)
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    print(step, schedule.get_last_lr()[0], loss.item())
