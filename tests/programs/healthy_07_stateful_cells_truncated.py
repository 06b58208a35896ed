"""Long series with hand-rolled recurrent cells: backward every eight steps, states carried over without their history."""

import torch
from torch import nn


class StackedCells(nn.Module):
    def __init__(self, inp=2, hidden=16, depth=2):
        super().__init__()
        self.cells = nn.ModuleList(nn.LSTMCell(inp if i == 0 else hidden, hidden) for i in range(depth))
        self.readout = nn.Linear(hidden, inp)
        self.state = None

    def reset(self, batch):
        self.state = [(torch.zeros(batch, c.hidden_size), torch.zeros(batch, c.hidden_size)) for c in self.cells]

    def forget_history(self):
        for pair in self.state:
            for tensor in pair:
                tensor.detach_()

    def forward(self, x):
        for i, cell in enumerate(self.cells):
            self.state[i] = cell(x, self.state[i])
            x = self.state[i][0]
        return self.readout(x)


torch.manual_seed(0)
model = StackedCells()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
time = torch.linspace(0, 30, 65)
wave = torch.stack([time.sin(), (0.5 * time).cos()], -1).unsqueeze(1) + 0.05 * torch.randn(65, 4, 2)
for epoch in range(2):
    model.reset(batch=4)
    window = 0.0
    for t in range(64):
        window = window + (model(wave[t]) - wave[t + 1]).pow(2).mean()
        if (t + 1) % 8 == 0:
            optimizer.zero_grad()
            window.backward()
            optimizer.step()
            model.forget_history()
            window = 0.0
    print("epoch", epoch)
