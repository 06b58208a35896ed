"""Raw-waveform classifier with learnable band-pass filters; the filter bank is tabulated with numpy in every forward."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class SincBank(nn.Module):
    def __init__(self, bands=8, taps=33):
        super().__init__()
        edges = torch.linspace(0.02, 0.4, bands + 1)
        self.low = nn.Parameter(edges[:-1].clone())
        self.width = nn.Parameter(edges.diff().clone())
        self.register_buffer("window", torch.hamming_window(taps))
        self.taps = taps

    def kernels(self):
        n = np.arange(self.taps) - self.taps // 2
        low = self.low.detach().cpu().numpy()[:, None]
        high = low + np.abs(self.width.detach().cpu().numpy())[:, None]
        bank = 2 * high * np.sinc(2 * high * n) - 2 * low * np.sinc(2 * low * n)
        return torch.from_numpy(bank).float() * self.window

    def forward(self, wave):
        return F.conv1d(wave, self.kernels().unsqueeze(1), padding=self.taps // 2)


class WaveNetlet(nn.Module):
    def __init__(self):
        super().__init__()
        self.bank = SincBank()
        self.norm = nn.GroupNorm(2, 8)
        self.conv = nn.Conv1d(8, 16, 5, stride=4)
        self.out = nn.Linear(16, 3)

    def forward(self, wave):
        h = torch.log1p(self.norm(self.bank(wave)).abs())
        return self.out(F.silu(self.conv(h)).amax(-1))


def fit(model, loader, epochs):
    optimizer = torch.optim.NAdam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        for wave, label in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(wave), label)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "loss", round(loss.item(), 4))


if __name__ == "__main__":
    torch.manual_seed(2)
    data = TensorDataset(torch.randn(24, 1, 256), torch.randint(0, 3, (24,)))
    fit(WaveNetlet(), DataLoader(data, batch_size=8, shuffle=True), epochs=2)
