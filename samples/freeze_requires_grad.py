"""Right: lin1 is frozen by requires_grad_(False), and called like any other layer.

Its weights stay as they are, and the gradient still passes through it: lin0 and lin2 learn.
"""

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin0 = nn.Linear(4, 8)
        self.lin1 = nn.Linear(8, 8)
        self.lin2 = nn.Linear(8, 2)

    def forward(self, x):
        x = self.lin0(x)
        x = self.lin1(x)
        return self.lin2(x)


torch.manual_seed(0)
model = Model()
model.lin1.requires_grad_(False)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
inputs, targets = torch.randn(16, 4), torch.randn(16, 2)

optimizer.zero_grad()
loss = nn.functional.mse_loss(model(inputs), targets)
loss.backward()
optimizer.step()
print(f"loss {loss.item():.4f}")
