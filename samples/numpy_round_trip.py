"""Wrong: a learnable spectrogram front end smooths its output with numpy before the classifier reads it.

A gradient does not come through an array, so the filters keep their first random values.
Use instead: `torch.nn.functional.avg_pool1d(energy, 5, 1, 2)`.
"""

import numpy as np
import torch
from torch import nn


class KeywordSpotter(nn.Module):
    def __init__(self, filters=12, words=4):
        super().__init__()
        self.filters = nn.Conv1d(1, filters, 32, 8)
        self.norm = nn.BatchNorm1d(filters)
        self.rnn = nn.GRU(filters, 24, batch_first=True)
        self.head = nn.Linear(24, words)

    def forward(self, wave):
        energy = self.filters(wave).square()
        smooth = self.smooth(energy)
        _, hidden = self.rnn(self.norm(smooth).transpose(1, 2))
        return self.head(hidden[-1])

    @staticmethod
    def smooth(energy):
        array = energy.detach().cpu().numpy()
        kernel = np.full(5, 0.2, dtype=np.float32)
        array = np.apply_along_axis(np.convolve, 2, array, kernel, mode="same")
        return torch.from_numpy(array.astype(np.float32))


torch.manual_seed(0)
model = KeywordSpotter()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
words = torch.randint(4, (16,))
time = torch.arange(400) / 400
wave = torch.sin(2 * torch.pi * (words.view(-1, 1) + 2) * 10 * time).unsqueeze(1) + 0.1 * torch.randn(16, 1, 400)

for step in range(6):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(wave), words)
    loss.backward()
    optimizer.step()
    print(f"step {step + 1}: loss {loss.item():.4f}")
