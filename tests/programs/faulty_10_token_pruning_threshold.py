"""Vision transformer with learned token pruning: a keep score per patch is compared with a threshold."""

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x, keep):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / (d // self.heads) ** 0.5
        weights = scores.exp() * keep[:, None, None, :]
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-6)
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, d))


class PrunedViT(nn.Module):
    def __init__(self, dim=32, patches=16, classes=6):
        super().__init__()
        self.patchify = nn.Conv2d(3, dim, 4, stride=4)
        self.position = nn.Parameter(0.02 * torch.randn(1, patches, dim))
        self.norm = nn.LayerNorm(dim)
        self.keep_score = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.attention = Attention(dim, 4)
        self.head = nn.Linear(dim, classes)

    def forward(self, image):
        x = self.patchify(image).flatten(2).transpose(1, 2) + self.position
        score = torch.sigmoid(self.keep_score(x)).squeeze(-1)
        keep = (score > 0.5).float()
        x = x + self.attention(self.norm(x), keep)
        pooled = (x * keep.unsqueeze(-1)).sum(1) / keep.sum(1, keepdim=True).clamp(min=1)
        return self.head(pooled)


def run():
    torch.manual_seed(4)
    vit = PrunedViT()
    optimizer = torch.optim.AdamW(vit.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(4):
        image, label = torch.randn(8, 3, 16, 16), torch.randint(0, 6, (8,))
        loss = F.cross_entropy(vit(image), label, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"{step}: {loss.item():.4f}")


run()
