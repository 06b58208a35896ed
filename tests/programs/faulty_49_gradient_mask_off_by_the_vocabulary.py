"""Train only the embeddings of newly added tokens by masking the gradient in a tensor hook."""

import torch
import torch.nn as nn
import torch.nn.functional as F

OLD, NEW, DIM = 40, 4, 16


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(OLD + NEW, DIM)
        self.rnn = nn.GRU(DIM, DIM, batch_first=True)
        self.proj = nn.Linear(DIM, OLD + NEW)

    def forward(self, ids):
        return self.proj(self.rnn(self.tokens(ids))[0])


torch.manual_seed(0)
model = Decoder()
mask = torch.zeros(OLD + NEW, 1)
mask[OLD + NEW :] = 1.0
model.tokens.weight.register_hook(lambda grad: grad * mask)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(4):
    ids = torch.randint(0, OLD + NEW, (6, 10))
    ids[:, 3] = torch.randint(OLD, OLD + NEW, (6,))
    logits = model(ids[:, :-1])
    loss = F.cross_entropy(logits.reshape(-1, OLD + NEW), ids[:, 1:].reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
