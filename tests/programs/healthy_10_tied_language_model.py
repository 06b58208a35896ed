"""Small GPT with tied input and output tables, label smoothing, and sampled text between the epochs."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))
        self.o = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        b, t, d = x.shape
        h = self.n1(x)
        q, k, v = (f(h).view(b, t, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.n2(x))


class TinyGPT(nn.Module):
    def __init__(self, vocab=40, dim=24, context=16):
        super().__init__()
        self.wte = nn.Embedding(vocab, dim)
        self.wpe = nn.Embedding(context, dim)
        self.blocks = nn.Sequential(Block(dim, 3), Block(dim, 3))
        self.norm = nn.LayerNorm(dim)
        self.lm_head = nn.Linear(dim, vocab, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, ids):
        h = self.wte(ids) + self.wpe(torch.arange(ids.size(1)))
        return self.lm_head(self.norm(self.blocks(h)))

    @torch.no_grad()
    def generate(self, ids, n):
        for _ in range(n):
            p = self(ids[:, -16:])[:, -1].softmax(-1)
            ids = torch.cat([ids, torch.multinomial(p, 1)], 1)
        return ids[0].tolist()


torch.manual_seed(0)
gpt = TinyGPT()
optimizer = torch.optim.AdamW(gpt.parameters(), lr=3e-4, betas=(0.9, 0.95))
text = torch.randint(0, 40, (300,))
for epoch in range(2):
    for _ in range(3):
        start = torch.randint(0, 280, (8,))
        x = torch.stack([text[s : s + 16] for s in start])
        y = torch.stack([text[s + 1 : s + 17] for s in start])
        logits = gpt(x)
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten(), label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = (logits.argmax(-1) == y).float().mean()
    print(epoch, loss.item(), accuracy.item(), gpt.generate(text[None, :4], 6))
