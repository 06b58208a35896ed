"""Language model whose output matrix is tied to the embedding after the optimizer was built."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class LM(nn.Module):
    def __init__(self, vocab=50, dim=18):
        super().__init__()
        self.wte = nn.Embedding(vocab, dim)
        self.rnn = nn.LSTM(dim, dim, batch_first=True)
        self.lm_head = nn.Linear(dim, vocab, bias=False)

    def tie_weights(self):
        self.lm_head.weight = self.wte.weight

    def forward(self, ids):
        return self.lm_head(self.rnn(self.wte(ids))[0])


torch.manual_seed(0)
model = LM()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
model.tie_weights()
for step in range(5):
    ids = torch.randint(0, 50, (6, 12))
    loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
