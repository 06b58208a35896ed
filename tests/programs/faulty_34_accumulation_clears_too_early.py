"""Polyphonic music model with gradient accumulation; the clearing branch runs just before the step, not after it."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


class PianoRolls(Dataset):
    def __init__(self, n=24, length=17, keys=24):
        generator = torch.Generator().manual_seed(0)
        self.rolls = (torch.rand(n, length, keys, generator=generator) > 0.85).float()

    def __len__(self):
        return len(self.rolls)

    def __getitem__(self, i):
        return self.rolls[i, :-1], self.rolls[i, 1:]


class MusicRNN(nn.Module):
    def __init__(self, keys=24, hidden=20):
        super().__init__()
        self.rnn = nn.LSTM(keys, hidden, num_layers=2, batch_first=True)
        self.keys = nn.Linear(hidden, keys)

    def forward(self, roll):
        return self.keys(self.rnn(roll)[0])


def train(model, loader, optimizer, accumulate, epochs=2):
    for epoch in range(epochs):
        for i, (past, future) in enumerate(loader, start=1):
            loss = F.binary_cross_entropy_with_logits(model(past), future) / accumulate
            loss.backward()
            if i % accumulate == 0:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.zero_grad()
                optimizer.step()
        print(epoch, loss.item() * accumulate)


torch.manual_seed(0)
music = MusicRNN()
train(music, DataLoader(PianoRolls(), batch_size=4), torch.optim.SGD(music.parameters(), lr=0.5), accumulate=2)
