"""Few-shot prototypes with a learnable similarity scale that starts outside the range it is clamped to."""

import torch
import torch.nn.functional as F
from torch import nn


class ProtoNet(nn.Module):
    def __init__(self, channels=16):
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.scale = nn.Parameter(torch.tensor(1 / 0.07))

    def forward(self, support, query, ways, shots):
        prototypes = self.embed(support).view(ways, shots, -1).mean(1)
        similarity = F.cosine_similarity(self.embed(query)[:, None], prototypes[None], dim=-1)
        return torch.clamp(self.scale, 0.0, 4.6052) * similarity


def episode(ways, shots, queries, generator):
    means = torch.randn(ways, 1, 1, 8, 8, generator=generator)
    support = means + 0.3 * torch.randn(ways, shots, 1, 8, 8, generator=generator)
    query = means + 0.3 * torch.randn(ways, queries, 1, 8, 8, generator=generator)
    return support.flatten(0, 1), query.flatten(0, 1), torch.arange(ways).repeat_interleave(queries)


def main(ways=4, shots=3):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(99)
    net = ProtoNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for number in range(4):
        support, query, label = episode(ways, shots, 5, generator)
        logits = net(support, query, ways, shots)
        loss = F.cross_entropy(logits, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(number, loss.item(), (logits.argmax(-1) == label).float().mean().item())


main()
