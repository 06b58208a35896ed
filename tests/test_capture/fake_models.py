"""Small models of many kinds, healthy and not, each with inputs: what is audited with values and under fake tensors must come out alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

Inputs = Callable[[], tuple[Any, ...]]


class Called(nn.Module):
    """Calls `function(self, *inputs)`; `parts` are its modules."""

    def __init__(self, function: Callable[..., Any], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * 2


class Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> None:
        return None


class Mixture(nn.Module):
    """Every expert is asked where a token was sent to it."""

    def __init__(self, routed: bool = True) -> None:
        super().__init__()
        self.router = nn.Linear(8, 3)
        self.experts = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
        self.routed = routed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, chosen = self.router(x).softmax(-1).topk(2)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            mask = (chosen == number).any(-1)
            if not mask.any():
                continue
            share = (weights * (chosen == number)).sum(-1)[mask] if self.routed else torch.ones(())
            out[mask] = out[mask] + expert(x[mask]) * share.unsqueeze(-1)
        return out


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], **more: Any) -> None:
        super().__init__()
        self.body = kind(8, 6, batch_first=True, **more)
        self.head = nn.Linear(6 * (2 if more.get("bidirectional") else 1), 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x)[0][:, -1])


def two() -> dict[str, nn.Module]:
    return {"a": nn.Linear(8, 8), "b": nn.Linear(8, 3)}


def conv() -> nn.Module:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, groups=2), nn.GroupNorm(2, 4)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def rows(*shape: int) -> Inputs:
    return lambda: (torch.randn(*shape),)


def learning() -> tuple[torch.Tensor]:
    return (torch.randn(4, 8, requires_grad=True),)


def tokens(*shape: int) -> Inputs:
    return lambda: (torch.arange(torch.Size(shape).numel()).reshape(shape) % 11,)


def no_grad(self: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        x = self.a(x)
    return self.b(x)


def overwritten(self: Any, x: torch.Tensor) -> torch.Tensor:
    out = self.a(x)
    out.data.copy_(x)
    return self.b(out)


def counted(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.b(x) * self.a(x).abs().mean().item()


def straight_through(self: Any, x: torch.Tensor) -> torch.Tensor:
    soft = self.a(x).softmax(-1)
    hard = F.one_hot(soft.argmax(-1), 8).float()
    return self.b(hard + soft - soft.detach())


def lengths(self: Any, x: torch.Tensor) -> torch.Tensor:
    kept = [row[: int(count)] for row, count in zip(x, torch.tensor([3, 2, 4]), strict=True)]
    return self.b(torch.stack([self.a(row).mean(0) for row in kept]))


def guarded(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.a(x)
    assert torch.isfinite(y).all()
    if torch.isnan(y).any():
        raise ValueError("NaN")
    if not (y.abs() < 1e6).all():
        raise ValueError("too large")
    return self.b(y)


def waited(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.a(x)
    while y.norm() > 1e-3:
        y = y * 0.5
    return self.b(y)


def unused_output(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.a(x)
    return self.b(x)


def through_numpy(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.b(torch.from_numpy(self.a(x).detach().numpy() * 2))


def through_list(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.b(torch.tensor(self.a(x).tolist()))


def parameter_list(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.b(x * self.scale + self.shift.detach())


def packed(self: Any, x: torch.Tensor, detach: bool = False) -> torch.Tensor:
    given = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3, 2]))
    out, lengths = nn.utils.rnn.pad_packed_sequence(self.body(given)[0], padding_value=0.5)
    assert out.shape[:2] == (5, 3) and lengths.tolist() == [5, 3, 2]
    return self.head(out.detach() if detach else out)


def packed_detached(self: Any, x: torch.Tensor) -> torch.Tensor:
    return packed(self, x, detach=True)


def rebuilt(self: Any, x: torch.Tensor) -> torch.Tensor:
    scales = torch.tensor([self.a(row).mean() for row in x])
    return self.b(x) * scales.unsqueeze(-1)


def grouped(self: Any, x: torch.Tensor) -> torch.Tensor:
    return torch._grouped_mm(self.a(x), self.w, offs=torch.tensor([2, 3, 6], dtype=torch.int32))


def attention(detach: bool) -> Callable[..., Any]:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.out(out.detach() if detach else out) + self.side(x)

    return forward


def attention_parts() -> dict[str, nn.Module]:
    return {"qkv": nn.Linear(8, 24), "out": nn.Linear(8, 8), "side": nn.Linear(8, 8)}


def tied(self: Any, x: torch.Tensor) -> torch.Tensor:
    return F.linear(self.body(self.embed(x)), self.embed.weight)


def autoencoder(self: Any, x: torch.Tensor) -> dict[str, torch.Tensor]:
    mean, scale = self.a(x).chunk(2, -1)
    return {"out": self.b(mean + torch.randn_like(scale) * scale.exp()), "mean": mean}


MODELS: dict[str, tuple[Callable[[], nn.Module], Inputs]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)), rows(4, 8)),
    "convolutions": (conv, rows(2, 3, 12, 12)),
    "transposed convolution": (lambda: nn.ConvTranspose1d(3, 4, 3), rows(2, 3, 9)),
    "lstm": (lambda: Recurrent(nn.LSTM), rows(2, 5, 8)),
    "lstm both ways": (lambda: Recurrent(nn.LSTM, bidirectional=True, num_layers=2), rows(2, 5, 8)),
    "gru": (lambda: Recurrent(nn.GRU), rows(2, 5, 8)),
    "rnn": (lambda: Recurrent(nn.RNN), rows(2, 5, 8)),
    "cell": (lambda: Called(lambda self, x: self.b(self.a(x)[0]), a=nn.LSTMCell(8, 8), b=nn.Linear(8, 2)), rows(4, 8)),
    "transformer": (
        lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
        lambda: (torch.randn(2, 5, 8), torch.randn(2, 4, 8)),
    ),
    "encoder in eval": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval(), rows(5, 2, 8)),
    "multihead attention": (lambda: Called(lambda self, x: self.m(x, x, x)[0], m=nn.MultiheadAttention(8, 2)), rows(5, 2, 8)),
    "packed lstm": (lambda: Called(packed, body=nn.LSTM(8, 6, 2, bidirectional=True), head=nn.Linear(12, 3)), rows(5, 3, 8)),
    "packed gru": (lambda: Called(packed, body=nn.GRU(8, 6), head=nn.Linear(6, 3)), rows(5, 3, 8)),
    "packed rnn": (lambda: Called(packed, body=nn.RNN(8, 6), head=nn.Linear(6, 3)), rows(5, 3, 8)),
    "packed and detached": (lambda: Called(packed_detached, body=nn.LSTM(8, 6), head=nn.Linear(6, 3)), rows(5, 3, 8)),
    "rebuilt from numbers": (lambda: Called(rebuilt, **two()), rows(4, 8)),
    "grouped product": (lambda: Called(grouped, a=nn.Linear(8, 8), w=nn.Parameter(torch.randn(3, 8, 4))), rows(6, 8)),
    "embedding bag": (lambda: nn.EmbeddingBag(11, 4), tokens(3, 4)),
    "bilinear": (lambda: nn.Bilinear(3, 4, 5), lambda: (torch.randn(2, 3), torch.randn(2, 4))),
    "mixture": (Mixture, rows(16, 8)),
    "mixture without weights": (lambda: Mixture(routed=False), rows(16, 8)),
    "attention": (lambda: Called(attention(False), **attention_parts()), rows(2, 5, 8)),
    "attention detached": (lambda: Called(attention(True), **attention_parts()), rows(2, 5, 8)),
    "no_grad": (lambda: Called(no_grad, **two()), rows(4, 8)),
    "detached": (lambda: Called(lambda self, x: self.b(self.a(x).detach()), **two()), rows(4, 8)),
    "data": (lambda: Called(lambda self, x: self.b(self.a(x).data), **two()), rows(4, 8)),
    "overwritten": (lambda: Called(overwritten, **two()), rows(4, 8)),
    "item": (lambda: Called(counted, **two()), rows(4, 8)),
    "numpy": (lambda: Called(through_numpy, **two()), rows(4, 8)),
    "tolist": (lambda: Called(through_list, **two()), rows(4, 8)),
    "argmax": (lambda: Called(lambda self, x: self.b(F.one_hot(self.a(x).argmax(-1), 8).float()), **two()), rows(4, 8)),
    "straight through": (lambda: Called(straight_through, **two()), rows(4, 8)),
    "unused": (lambda: Called(lambda self, x: self.b(x), **two()), rows(4, 8)),
    "called in vain": (lambda: Called(unused_output, **two()), rows(4, 8)),
    "lengths": (lambda: Called(lengths, **two()), rows(3, 5, 8)),
    "guarded": (lambda: Called(guarded, **two()), rows(4, 8)),
    "waits": (lambda: Called(waited, **two()), rows(4, 8)),
    "frozen": (lambda: Called(lambda self, x: self.b(self.a(x)), a=nn.Linear(8, 8).requires_grad_(False), b=nn.Linear(8, 3)), rows(4, 8)),
    "function": (lambda: Called(lambda self, x: self.b(Doubled.apply(self.a(x))), **two()), rows(4, 8)),
    "function that drops": (lambda: Called(lambda self, x: self.b(Dropped.apply(self.a(x))), **two()), rows(4, 8)),
    "checkpoint": (lambda: Called(lambda self, x: self.b(checkpoint(self.a, x, use_reentrant=False)), **two()), rows(4, 8)),
    "reentrant checkpoint": (lambda: Called(lambda self, x: self.b(checkpoint(self.a, x, use_reentrant=True)), **two()), learning),
    "tied": (lambda: Called(tied, embed=nn.Embedding(11, 8), body=nn.Linear(8, 8)), tokens(2, 5)),
    "autoencoder": (lambda: Called(autoencoder, a=nn.Linear(8, 8), b=nn.Linear(4, 8)), rows(4, 8)),
    "plain parameters": (
        lambda: Called(
            parameter_list, b=nn.Linear(8, 3), scale=nn.Parameter(torch.ones(8)), shift=nn.Parameter(torch.zeros(8))
        ),
        rows(4, 8),
    ),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 3)), rows(4, 8)),
    "half": (lambda: nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3)).double(), lambda: (torch.randn(4, 8).double(),)),
}  # fmt: skip
"""By name: what builds the model, and what makes its positional inputs."""
