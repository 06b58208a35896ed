"""Multi-task training with learned uncertainty; the two log-variances are plain tensors of the script."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 24)
        self.depth = nn.Linear(24, 1)
        self.label = nn.Linear(24, 4)

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return self.depth(h).squeeze(-1), self.label(h)


torch.manual_seed(0)
model = Net()
log_var_depth = torch.zeros((), requires_grad=True)
log_var_label = torch.zeros((), requires_grad=True)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(5):
    x = torch.randn(16, 8)
    depth, label = model(x)
    loss_depth = F.l1_loss(depth, x[:, 0])
    loss_label = F.cross_entropy(label, torch.randint(0, 4, (16,)))
    loss = torch.exp(-log_var_depth) * loss_depth + log_var_depth + torch.exp(-log_var_label) * loss_label + log_var_label
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item(), log_var_depth.item())
