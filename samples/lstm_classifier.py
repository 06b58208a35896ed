"""Right: an LSTM that reads sequences of different lengths and says whether there was more of the first half of the alphabet.

Packed sequences, dropout, gradient clipping, an evaluation under torch.no_grad() after every epoch: nothing of this cuts anything.
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence


class Classifier(nn.Module):
    def __init__(self, symbols=20, width=16, classes=2):
        super().__init__()
        self.embedding = nn.Embedding(symbols + 1, width, padding_idx=0)
        self.lstm = nn.LSTM(width, width, num_layers=2, bidirectional=True, dropout=0.1, batch_first=True)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, symbols, lengths):
        packed = pack_padded_sequence(self.embedding(symbols), lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        return self.head(torch.cat([hidden[-2], hidden[-1]], dim=1))


def make_data(count):
    sequences = [torch.randint(1, 21, (int(length),)) for length in torch.randint(5, 15, (count,))]
    labels = torch.tensor([int((sequence <= 10).float().mean() > 0.5) for sequence in sequences])
    return pad_sequence(sequences, batch_first=True), torch.tensor([len(sequence) for sequence in sequences]), labels


torch.manual_seed(0)
model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
symbols, lengths, labels = make_data(64)

for epoch in range(4):
    model.train()
    for rows in torch.randperm(64).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(symbols[rows], lengths[rows]), labels[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(symbols, lengths).argmax(1) == labels).float().mean().item()
    print(f"epoch {epoch + 1}: loss {loss.item():.4f}, accuracy {accuracy:.0%}")
