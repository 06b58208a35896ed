"""Prompt tuning of a small frozen causal transformer: twelve virtual tokens and a verbaliser are meant to learn."""

import torch
import torch.nn.functional as F
from torch import nn


class FrozenLM(nn.Module):
    def __init__(self, vocab=60, dim=32):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim)
        block = nn.TransformerEncoderLayer(dim, 4, 2 * dim, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)

    def forward(self, embeds):
        causal = nn.Transformer.generate_square_subsequent_mask(embeds.size(1))
        return self.blocks(embeds, mask=causal, is_causal=True)


class PromptModel(nn.Module):
    def __init__(self, lm, n_virtual=12, classes=4):
        super().__init__()
        self.lm = lm.requires_grad_(False)
        self.prompt = nn.Parameter(0.02 * torch.randn(n_virtual, lm.tok.embedding_dim))
        self.verbaliser = nn.Linear(lm.tok.embedding_dim, classes)

    def with_prompt(self, ids):
        words = self.lm.tok(ids)
        virtual = self.prompt.data.expand(ids.size(0), -1, -1)
        return torch.cat([virtual, words], dim=1)

    def forward(self, ids):
        return self.verbaliser(self.lm(self.with_prompt(ids))[:, -1])


torch.manual_seed(1)
model = PromptModel(FrozenLM())
trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
print("trainable:", sorted(trainable))
opt = torch.optim.Adafactor(trainable.values(), lr=0.01)
ids, labels = torch.randint(0, 60, (32, 10)), torch.randint(0, 4, (32,))
for epoch in range(2):
    for rows in torch.randperm(32).split(16):
        loss = F.cross_entropy(model(ids[rows]), labels[rows])
        loss.backward()
        opt.step()
        opt.zero_grad()
        print(epoch, loss.item())
