"""Local self-attention on feature maps; the fusion layer is built where it is used, because its width is known only there."""

import torch
import torch.nn.functional as F
from torch import nn


class LocalAttention(nn.Module):
    def __init__(self, cin, cout, k=3):
        super().__init__()
        self.k, self.cout = k, cout
        self.query = nn.Conv2d(cin, cout, 1)
        self.key = nn.Conv2d(cin, cout, 1)
        self.value = nn.Conv2d(cin, cout, 1)

    def forward(self, x):
        b, _, h, w = x.shape
        q = self.query(x).view(b, self.cout, 1, h * w)
        unfold = [F.unfold(m, self.k, padding=self.k // 2).view(b, self.cout, self.k**2, h * w) for m in (self.key(x), self.value(x))]
        weight = (q * unfold[0]).sum(1, keepdim=True).softmax(2)
        return (weight * unfold[1]).sum(2).view(b, self.cout, h, w)


class Fusion(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, *maps):
        stacked = torch.cat([m.flatten(2).mean(-1) for m in maps], dim=-1)
        mix = nn.Linear(stacked.size(-1), self.width)
        return F.relu(mix(stacked))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = LocalAttention(3, 8)
        self.two = LocalAttention(8, 12)
        self.fusion = Fusion(16)
        self.label = nn.Linear(16, 4)

    def forward(self, image):
        low = self.one(image)
        high = self.two(F.max_pool2d(low, 2))
        return self.label(self.fusion(low, high))


torch.manual_seed(19)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for step in range(4):
    loss = F.cross_entropy(net(torch.randn(8, 3, 12, 12)), torch.randint(0, 4, (8,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
