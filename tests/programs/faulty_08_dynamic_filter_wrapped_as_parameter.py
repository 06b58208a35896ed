"""Next-frame prediction with dynamic filters: a generator network writes the kernel that moves the last frame."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class FilterGenerator(nn.Module):
    def __init__(self, frames, k):
        super().__init__()
        self.k = k
        self.down = nn.Conv2d(frames, 12, 3, stride=2)
        self.to_kernel = nn.Linear(12, k * k)

    def forward(self, clip):
        summary = F.elu(self.down(clip)).mean((0, 2, 3))
        return self.to_kernel(summary).softmax(-1).view(1, 1, self.k, self.k)


class NextFrame(nn.Module):
    def __init__(self, frames=4, k=5):
        super().__init__()
        self.generator = FilterGenerator(frames, k)
        self.refine = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ELU(), nn.Conv2d(8, 1, 3, padding=1))

    def forward(self, clip):
        kernel = self.generator(clip)
        moved = F.conv2d(clip[:, -1:], nn.Parameter(kernel), padding=self.generator.k // 2)
        return moved + self.refine(moved)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    return parser.parse_args()


def main():
    args = parse()
    torch.manual_seed(0)
    net = NextFrame()
    optimizer = torch.optim.RAdam(net.parameters(), lr=args.lr)
    for step in range(args.steps):
        video = torch.rand(6, 5, 12, 12)
        loss = F.mse_loss(net(video[:, :4]), video[:, 4:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, loss.item())


if __name__ == "__main__":
    main()
