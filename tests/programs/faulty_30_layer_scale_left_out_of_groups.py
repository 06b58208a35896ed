"""ConvNeXt-like classifier; decay groups are built from the endings of names, and two kinds of parameter match neither."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 3 * dim)
        self.down = nn.Linear(3 * dim, dim)
        self.gamma = nn.Parameter(0.1 * torch.ones(dim))

    def forward(self, x):
        h = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        h = self.gamma * self.down(F.gelu(self.up(h)))
        return x + h.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    def __init__(self, dim=12, depth=2, classes=5):
        super().__init__()
        self.patches = nn.Conv2d(3, dim, 4, 4)
        self.blocks = nn.Sequential(*[Block(dim) for _ in range(depth)])
        self.query = nn.Parameter(torch.randn(dim))
        self.head = nn.Linear(dim, classes)

    def forward(self, image):
        h = self.blocks(self.patches(image)).flatten(2)
        weight = torch.einsum("d,bdn->bn", self.query, h).softmax(-1)
        return self.head(torch.einsum("bn,bdn->bd", weight, h))


def param_groups(model, weight_decay):
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        if name.endswith(".weight") and p.ndim > 1:
            decay.append(p)
        elif name.endswith((".bias", "norm.weight")):
            no_decay.append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": no_decay, "weight_decay": 0.0}]


torch.manual_seed(6)
model = ConvNext()
optimizer = torch.optim.AdamW(param_groups(model, 0.05), lr=1e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
for step in range(4):
    loss = F.cross_entropy(model(torch.randn(6, 3, 16, 16)), torch.randint(0, 5, (6,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    print(step, loss.item())
