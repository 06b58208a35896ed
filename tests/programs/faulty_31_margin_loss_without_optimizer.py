"""Face recognition: the class centres live in the loss module, and only the embedding network has an optimizer."""

import torch
import torch.nn.functional as F
from torch import nn


class FaceNet(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5, stride=2)
        self.norm = nn.GroupNorm(2, 8)
        self.fc = nn.Linear(8 * 36, dim)

    def forward(self, face):
        return self.fc(F.relu(self.norm(self.conv(face))).flatten(1))


class AngularMargin(nn.Module):
    def __init__(self, dim, people, s=16.0, m=0.3):
        super().__init__()
        self.s, self.m = s, m
        self.centre = nn.Parameter(torch.empty(people, dim))
        nn.init.xavier_normal_(self.centre)

    def forward(self, embedding, person):
        cosine = F.linear(F.normalize(embedding), F.normalize(self.centre)).clamp(-0.999, 0.999)
        angle = torch.acos(cosine)
        angle = torch.where(F.one_hot(person, cosine.size(1)).bool(), angle + self.m, angle)
        return F.cross_entropy(self.s * torch.cos(angle), person)


torch.manual_seed(14)
embedder = FaceNet()
margin = AngularMargin(16, people=9)
optimizer = torch.optim.Adam(embedder.parameters(), lr=1e-3)
embedder.train()
margin.train()
for batch in range(4):
    face, person = torch.randn(18, 1, 16, 16), torch.randint(0, 9, (18,))
    loss = margin(embedder(face), person)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(batch, loss.item())
