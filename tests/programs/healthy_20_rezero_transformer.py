"""ReZero residuals: every branch is multiplied by a scalar that starts at zero, so branches have zero gradient at first."""

import torch
import torch.nn.functional as F
from torch import nn


class ReZeroLayer(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, 4, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.alpha = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        x = x + self.alpha[0] * self.attention(x, x, x, need_weights=False)[0]
        return x + self.alpha[1] * self.feed(x)


class SetClassifier(nn.Module):
    def __init__(self, features=3, dim=16, depth=3, classes=4):
        super().__init__()
        self.lift = nn.Linear(features, dim)
        self.layers = nn.ModuleList(ReZeroLayer(dim) for _ in range(depth))
        self.classes = nn.Linear(dim, classes)

    def forward(self, cloud):
        h = self.lift(cloud)
        for layer in self.layers:
            h = layer(h)
        return self.classes(h.mean(1))


torch.manual_seed(0)
model = SetClassifier()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(5):
    cloud, kind = torch.randn(16, 10, 3), torch.randint(0, 4, (16,))
    logits = model(cloud)
    loss = F.cross_entropy(logits, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item(), (logits.argmax(1) == kind).sum().item(), "of 16")
