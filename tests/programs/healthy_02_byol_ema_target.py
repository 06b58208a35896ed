"""BYOL: online encoder, projector and predictor; the target is a moving average and its tensors still require grad."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


class Encoder(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.features = nn.Sequential(nn.Conv1d(2, width, 5), nn.BatchNorm1d(width), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten())
        self.projector = nn.Sequential(nn.Linear(width, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 12))

    def forward(self, x):
        return self.projector(self.features(x))


class BYOL(nn.Module):
    def __init__(self, decay=0.98):
        super().__init__()
        self.online = Encoder()
        self.predictor = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 12))
        self.target = copy.deepcopy(self.online)
        self.decay = decay

    def forward(self, a, b):
        pa, pb = self.predictor(self.online(a)), self.predictor(self.online(b))
        ta, tb = self.target(a).detach(), self.target(b).detach()
        return 2 - F.cosine_similarity(pa, tb).mean() - F.cosine_similarity(pb, ta).mean()

    @torch.no_grad()
    def move_target(self):
        for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.decay)


torch.manual_seed(0)
byol = BYOL()
optimizer = torch.optim.AdamW([*byol.online.parameters(), *byol.predictor.parameters()], lr=1e-3)
for step in range(5):
    signal = torch.randn(16, 2, 40)
    loss = byol(signal + 0.1 * torch.randn_like(signal), signal.roll(2, -1) * 1.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    byol.move_target()
    print(step, loss.item())
