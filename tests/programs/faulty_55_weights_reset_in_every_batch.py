"""Cross-validation; the reset to the initial weights stands one level too deep."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F


class Probe(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(10, 16)
        self.b = nn.Linear(16, 2)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


torch.manual_seed(0)
x, y = torch.randn(60, 10), torch.randint(0, 2, (60,))
model = Probe()
initial = copy.deepcopy(model.state_dict())
for fold in range(3):
    test = torch.arange(60) % 3 == fold
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in (~test).nonzero().squeeze(1).split(10):
        model.load_state_dict(initial)
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        print(fold, (model(x[test]).argmax(1) == y[test]).float().mean().item())
