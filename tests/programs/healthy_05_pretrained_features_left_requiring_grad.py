"""Perceptual loss style transfer: the feature network is pretrained, in eval mode, and nobody cleared its requires_grad."""

import io

import torch
import torch.nn.functional as F
from torch import nn


def feature_network():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU())


def load_pretrained():
    archive = io.BytesIO()
    torch.save(feature_network().state_dict(), archive)
    archive.seek(0)
    net = feature_network()
    net.load_state_dict(torch.load(archive, weights_only=True))
    return net.eval()


class Stylizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inward = nn.Conv2d(3, 12, 3, padding=1)
        self.norm = nn.InstanceNorm2d(12, affine=True)
        self.outward = nn.Conv2d(12, 3, 3, padding=1)

    def forward(self, x):
        return torch.sigmoid(self.outward(F.relu(self.norm(self.inward(x)))))


def gram(f):
    f = f.flatten(2)
    return f @ f.transpose(1, 2) / f.size(-1)


torch.manual_seed(0)
vgg = load_pretrained()
stylizer = Stylizer()
optimizer = torch.optim.Adam(stylizer.parameters(), lr=1e-3)
with torch.no_grad():
    style = gram(vgg(torch.rand(1, 3, 16, 16)))
for step in range(4):
    photo = torch.rand(4, 3, 16, 16)
    painted = vgg(stylizer(photo))
    with torch.no_grad():
        content = vgg(photo)
    loss = F.mse_loss(painted, content) + 10 * F.mse_loss(gram(painted), style.expand(4, -1, -1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
