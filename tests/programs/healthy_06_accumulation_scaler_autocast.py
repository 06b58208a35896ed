"""Gradient accumulation with autocast and a GradScaler; unscale, clip, step, update."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Conformerlet(nn.Module):
    def __init__(self, mels=12, dim=24, phones=9):
        super().__init__()
        self.subsample = nn.Conv1d(mels, dim, 3, 2, 1)
        self.attend = nn.MultiheadAttention(dim, 4, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.glu = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, 5, padding=2, groups=dim)
        self.phones = nn.Linear(dim, phones)

    def forward(self, mel):
        h = self.subsample(mel).transpose(1, 2)
        h = h + self.attend(h, h, h)[0]
        h = h + self.depthwise(F.glu(self.glu(self.norm(h))).transpose(1, 2)).transpose(1, 2)
        return self.phones(h)


def main(accumulate=3, epochs=2):
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Conformerlet().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    scaler = torch.amp.GradScaler(device, init_scale=1024.0)
    data = TensorDataset(torch.randn(36, 12, 20), torch.randint(0, 9, (36, 10)))
    for epoch in range(epochs):
        optimizer.zero_grad(set_to_none=True)
        for i, (mel, phone) in enumerate(DataLoader(data, batch_size=6, shuffle=True)):
            with torch.autocast(device, dtype=torch.bfloat16):
                logits = model(mel.to(device))
                loss = F.cross_entropy(logits.flatten(0, 1), phone.to(device).flatten()) / accumulate
            scaler.scale(loss).backward()
            if (i + 1) % accumulate == 0:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
        print(epoch, loss.item() * accumulate)


if __name__ == "__main__":
    main()
