"""A mixture of experts of 141 billion parameters, as the published 8x22B: 56 layers, in each of them two of eight experts take a token."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

WORDS, WIDTH, INNER, HEADS, LAYERS, EXPERTS, CHOSEN = 32_768, 6_144, 16_384, 48, 56, 8, 2


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, seq, width) as it came in."""
        batch, seq, _ = x.shape
        q, k, v = self.qkv(x).view(batch, seq, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, seq, WIDTH))


class Expert(nn.Module):
    """A gated two-layer net."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(WIDTH, INNER, bias=False)
        self.up = nn.Linear(WIDTH, INNER, bias=False)
        self.down = nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(tokens, width) as it came in."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Mixture(nn.Module):
    """Sends each token to its experts. The weights of the choice are read off as numbers, which is the planted cut."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = nn.ModuleList([Expert() for _ in range(EXPERTS)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, seq, width) as it came in."""
        tokens = x.reshape(-1, WIDTH)
        with torch.no_grad():
            weights, chosen = self.router(tokens).softmax(-1).topk(CHOSEN)
        out = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            rows, slots = torch.where(chosen == number)
            if rows.numel() == 0:
                continue
            out = out.index_add(0, rows, expert(tokens[rows]) * weights[rows, slots, None])
        return out.view_as(x)


class Layer(nn.Module):
    """Attention and mixture, each beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.mixture = Mixture()
        self.norms = nn.ModuleList([nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, seq, width) as it came in."""
        x = x + self.attention(self.norms[0](x))
        return x + self.mixture(self.norms[1](x))


class Mixtral(nn.Module):
    """Tokens to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.Sequential(*[Layer() for _ in range(LAYERS)])
        self.head = nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(batch, seq) whole numbers to (batch, seq, words)."""
        return self.head(self.layers(self.embed(tokens)))
