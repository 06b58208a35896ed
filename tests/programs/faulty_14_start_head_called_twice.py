"""Extractive question answering: one head for the start of the answer, one for its end; the copy-paste calls one twice."""

import torch
import torch.nn.functional as F
from torch import nn


class SpanReader(nn.Module):
    def __init__(self, vocab=150, dim=24):
        super().__init__()
        self.words = nn.Embedding(vocab, dim)
        self.question_rnn = nn.GRU(dim, dim, batch_first=True)
        self.passage_rnn = nn.GRU(dim, dim // 2, batch_first=True, bidirectional=True)
        self.start_head = nn.Bilinear(dim, dim, 1)
        self.end_head = nn.Bilinear(dim, dim, 1)

    def forward(self, passage, question):
        tokens, _ = self.passage_rnn(self.words(passage))
        _, summary = self.question_rnn(self.words(question))
        query = summary[-1].unsqueeze(1).expand_as(tokens).contiguous()
        start = self.start_head(tokens, query).squeeze(-1)
        end = self.start_head(tokens, query).squeeze(-1)
        return {"start": start, "end": end}


def span_loss(logits, begin, finish):
    return F.cross_entropy(logits["start"], begin) + F.cross_entropy(logits["end"], finish)


torch.manual_seed(0)
reader = SpanReader()
optimizer = torch.optim.Adagrad(reader.parameters(), lr=0.02)
for step in range(4):
    passage, question = torch.randint(0, 150, (6, 20)), torch.randint(0, 150, (6, 5))
    begin = torch.randint(0, 15, (6,))
    loss = span_loss(reader(passage, question), begin, begin + torch.randint(0, 5, (6,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
