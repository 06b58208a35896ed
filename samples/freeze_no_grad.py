"""Wrong: lin1 is meant to be frozen, and is called under torch.no_grad().

No gradient comes back through the block, so lin0 stops learning together with lin1. lin2 comes after the block and still learns.
Use instead: `model.lin1.requires_grad_(False)`, as in freeze_requires_grad.py.
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
        with torch.no_grad():
            x = self.lin1(x)
        return self.lin2(x)


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
inputs, targets = torch.randn(16, 4), torch.randn(16, 2)

optimizer.zero_grad()
loss = nn.functional.mse_loss(model(inputs), targets)
loss.backward()
optimizer.step()
print(f"loss {loss.item():.4f}")
