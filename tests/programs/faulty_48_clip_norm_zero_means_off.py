"""Sequence labeller with an argparse option for clipping whose default was meant to switch it off."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--clip", type=float, default=0.0, help="maximum gradient norm, 0 to disable")
    return parser.parse_args([])


class Labeller(nn.Module):
    def __init__(self, inp=6, hidden=14, tags=4):
        super().__init__()
        self.rnn = nn.LSTM(inp, hidden, bidirectional=True, batch_first=True)
        self.norm = nn.LayerNorm(2 * hidden)
        self.out = nn.Linear(2 * hidden, tags)

    def forward(self, x):
        return self.out(self.norm(self.rnn(x)[0]))


def main():
    args = parse()
    torch.manual_seed(0)
    model = Labeller()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    for step in range(4):
        x, y = torch.randn(8, 11, 6), torch.randint(0, 4, (8, 11))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        print(step, loss.item())


if __name__ == "__main__":
    main()
