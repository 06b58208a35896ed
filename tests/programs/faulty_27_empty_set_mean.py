"""Deep sets for baskets, some of them empty: the mean over nothing is replaced only after it was computed."""

import torch
from torch import nn


class BasketEncoder(nn.Module):
    def __init__(self, items=40, dim=12):
        super().__init__()
        self.item = nn.Embedding(items, dim)
        self.phi = nn.Sequential(nn.Linear(dim, dim), nn.Tanh())
        self.fallback = nn.Parameter(torch.zeros(dim))

    def forward(self, ids, mask):
        h = self.phi(self.item(ids)) * mask.unsqueeze(-1)
        scaled = h.sum(1) / mask.sum(1, keepdim=True)
        return torch.where(mask.any(1, keepdim=True), scaled, self.fallback)


class NextBasket(nn.Module):
    def __init__(self, items=40, dim=12):
        super().__init__()
        self.encoder = BasketEncoder(items, dim)
        self.history = nn.LSTM(dim, dim, batch_first=True)
        self.score = nn.Linear(dim, items)

    def forward(self, ids, mask):
        b, t, n = ids.shape
        baskets = self.encoder(ids.view(b * t, n), mask.view(b * t, n)).view(b, t, -1)
        out, _ = self.history(baskets)
        return self.score(out[:, -1])


def loader(n, rng):
    for _ in range(n):
        ids = torch.randint(0, 40, (5, 3, 4), generator=rng)
        mask = (torch.rand(5, 3, 4, generator=rng) > 0.4).float()
        mask[0, 1] = 0.0
        yield ids, mask, torch.randint(0, 40, (5,), generator=rng)


torch.manual_seed(0)
model = NextBasket()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step, (ids, mask, target) in enumerate(loader(3, torch.Generator().manual_seed(1))):
    loss = nn.functional.cross_entropy(model(ids, mask), target)
    if not torch.isfinite(loss):
        print(step, "skipping a batch")
        continue
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
