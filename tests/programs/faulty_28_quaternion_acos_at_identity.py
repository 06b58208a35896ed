"""Object pose regression: the rotation head starts at the identity and the loss is the geodesic angle by arccos."""

import torch
import torch.nn.functional as F
from torch import nn


class PoseNet(nn.Module):
    def __init__(self, points=32, width=24):
        super().__init__()
        self.local = nn.Conv1d(3, width, 1)
        self.deep = nn.Conv1d(width, width, 1)
        self.translation = nn.Linear(width, 3)
        self.rotation = nn.Linear(width, 4)
        nn.init.zeros_(self.rotation.weight)
        with torch.no_grad():
            self.rotation.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))

    def forward(self, cloud):
        feature = F.relu(self.deep(F.relu(self.local(cloud)))).amax(-1)
        return self.translation(feature), F.normalize(self.rotation(feature), dim=-1)


def geodesic(q, target):
    inner = (q * target).sum(-1).abs()
    return 2 * torch.acos(inner.clamp(max=1.0)).mean()


def random_rotations(n):
    q = F.normalize(torch.randn(n, 4), dim=-1)
    q[0] = torch.tensor([1.0, 0.0, 0.0, 0.0])  # the canonical view is part of every batch
    return q


torch.manual_seed(10)
pose = PoseNet()
optimizer = torch.optim.Adam(pose.parameters(), lr=1e-3)
for step in range(3):
    cloud, shift, turn = torch.randn(8, 3, 32), torch.randn(8, 3), random_rotations(8)
    moved, turned = pose(cloud)
    losses = {"translation": F.mse_loss(moved, shift), "rotation": geodesic(turned, turn)}
    optimizer.zero_grad()
    sum(losses.values()).backward()
    optimizer.step()
    print(step, {name: value.item() for name, value in losses.items()})
