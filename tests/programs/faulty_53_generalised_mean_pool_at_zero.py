"""Image retrieval with generalised-mean pooling and no floor under it."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class GeM(nn.Module):
    def __init__(self, p=3.0):
        super().__init__()
        self.p = nn.Parameter(torch.ones(1) * p)

    def forward(self, x):
        return x.pow(self.p).mean((2, 3)).pow(1.0 / self.p)


class Retrieval(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.pool = GeM()
        self.whiten = nn.Linear(24, dim)
        self.load_pretrained()

    def load_pretrained(self):
        with torch.no_grad():
            self.conv2.bias[:5] = -1.5

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(F.avg_pool2d(x, 2)))
        return F.normalize(self.whiten(self.pool(x)), dim=-1)


torch.manual_seed(0)
model = Retrieval()
opt = torch.optim.SGD(model.parameters(), lr=1e-3)
margin_loss = nn.TripletMarginLoss(0.3)
for step in range(4):
    a, p, n = torch.rand(3, 4, 3, 12, 12)
    loss = margin_loss(model(a), model(p), model(n))
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
