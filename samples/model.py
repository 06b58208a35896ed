"""Wrong, and without a training loop: the model of freeze_no_grad.py is built and called once.

No loss and no backward are written here; the call itself is audited.
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
print(tuple(model(torch.randn(16, 4)).shape))
