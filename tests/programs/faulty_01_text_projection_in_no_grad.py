"""Radiology image-text pretraining: the text tower is frozen on purpose, its projection head is not."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab: int = 120
    width: int = 24
    shared: int = 16
    batch: int = 12
    steps: int = 4
    temperature: float = 0.1


class ImageTower(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.stem = nn.Conv2d(1, cfg.width, 4, stride=4)
        self.mix = nn.Conv2d(cfg.width, cfg.width, 3, padding=1)
        self.proj = nn.Linear(cfg.width, cfg.shared)

    def forward(self, scan):
        h = F.gelu(self.mix(F.gelu(self.stem(scan))))
        return self.proj(h.flatten(2).mean(-1))


class ReportContrast(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.image = ImageTower(cfg)
        self.text_body = nn.EmbeddingBag(cfg.vocab, cfg.width, mode="mean")
        self.text_proj = nn.Sequential(nn.Linear(cfg.width, 32), nn.ReLU(), nn.Linear(32, cfg.shared))
        self.text_body.requires_grad_(False)

    def encode_report(self, tokens):
        with torch.no_grad():
            bag = self.text_body(tokens)
            return self.text_proj(bag)

    def forward(self, scan, tokens):
        return F.normalize(self.image(scan), dim=-1), F.normalize(self.encode_report(tokens), dim=-1)


def main(cfg: Config) -> None:
    torch.manual_seed(3)
    net = ReportContrast(cfg)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=2e-3)
    for step in range(cfg.steps):
        scan, tokens = torch.randn(cfg.batch, 1, 16, 16), torch.randint(0, cfg.vocab, (cfg.batch, 9))
        img, txt = net(scan, tokens)
        logits = img @ txt.T / cfg.temperature
        target = torch.arange(cfg.batch)
        loss = 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step} loss {loss.item():.4f}")


if __name__ == "__main__":
    main(Config())
