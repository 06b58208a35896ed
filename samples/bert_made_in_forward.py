"""Wrong: a BERT encoder that builds one of its layers while it runs. The file only defines classes; gradflow builds the main one.

An `nn.Linear` inside of `forward` is made anew with random weights in each call, and no optimizer ever holds it. A tutorial that many
learn from has this fault.
"""

import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.norm = nn.Linear(dim, 3 * dim), nn.LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, dim = x.shape
        query, key, value = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        seen = seen.transpose(1, 2).reshape(batch, length, dim)
        mixed = nn.Linear(dim, dim)(seen)
        return self.norm(mixed + x)


class EncoderLayer(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(dim, heads)
        self.feed_forward = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attention(x)
        return x + self.feed_forward(x)


class BERT(nn.Module):
    def __init__(self, vocab_size: int = 100, dim: int = 32, heads: int = 4, num_layers: int = 2, max_len: int = 64) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(vocab_size, dim), nn.Embedding(max_len, dim)
        self.layers = nn.ModuleList(EncoderLayer(dim, heads) for _ in range(num_layers))
        self.to_words = nn.Linear(dim, vocab_size)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.words(input_ids) + self.positions(torch.arange(input_ids.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.to_words(x)
