"""Wrong: the hidden layers of a regression network stand in a Python list, not in an nn.ModuleList.

`model.parameters()` does not see them, so no optimizer gets them, nor does `.to(device)` or the checkpoint. The loss falls all the same,
because the other two layers learn around them.
"""

import torch
from torch import nn


class Regressor(nn.Module):
    def __init__(self, features=6, width=16, depth=3):
        super().__init__()
        self.first = nn.Linear(features, width)
        self.hidden = [nn.Linear(width, width) for _ in range(depth)]
        self.last = nn.Linear(width, 1)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        for layer in self.hidden:
            x = x + torch.tanh(layer(x))
        return self.last(x).squeeze(1)


torch.manual_seed(0)
model = Regressor()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
x = torch.randn(64, 6)
y = (x[:, 0] * x[:, 1]).sin() + x[:, 2]

for step in range(20):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print(f"step {step + 1}: loss {loss.item():.4f}")
