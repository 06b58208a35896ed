"""Speaker verification: dilated TDNN with statistics pooling, fine-tuned together with an additive-margin head."""

import torch
import torch.nn.functional as F
from torch import nn


class TDNN(nn.Module):
    def __init__(self, feats=20, width=32):
        super().__init__()
        self.frames = nn.ModuleList(
            [nn.Conv1d(feats, width, 5), nn.Conv1d(width, width, 3, dilation=2), nn.Conv1d(width, width, 3, dilation=3)]
        )
        self.bottleneck = nn.Linear(2 * width, 24)

    def forward(self, x):
        for layer in self.frames:
            x = F.leaky_relu(layer(x))
        stats = torch.cat([x.mean(-1), x.std(-1)], dim=-1)
        return self.bottleneck(stats)


class SpeakerNet(nn.Module):
    def __init__(self, speakers=7):
        super().__init__()
        self.xvector = TDNN()
        self.centres = nn.Parameter(torch.randn(speakers, 24))

    @torch.inference_mode()
    def embed(self, mfcc):
        return self.xvector(mfcc)

    def forward(self, mfcc, speaker, margin=0.2, scale=16.0):
        emb = self.embed(mfcc).clone()
        cosine = F.normalize(emb, dim=-1) @ F.normalize(self.centres, dim=-1).T
        cosine = cosine - margin * F.one_hot(speaker, cosine.size(1))
        return F.cross_entropy(scale * cosine, speaker)


def train(steps=4):
    torch.manual_seed(11)
    net = SpeakerNet()
    sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for i in range(steps):
        sgd.zero_grad(set_to_none=True)
        objective = net(torch.randn(14, 20, 40), torch.randint(0, 7, (14,)))
        objective.backward()
        sgd.step()
        print("iter", i, "objective", float(objective))


train()
