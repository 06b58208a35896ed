"""Quantisation-aware training of a small mixer; the linear operation has its own backward, which forgets the bias."""

import torch
import torch.nn.functional as F
from torch import nn


class FakeQuantLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, bits):
        step = weight.abs().amax() / (2 ** (bits - 1) - 1)
        quantised = (weight / step).round() * step
        ctx.save_for_backward(x, quantised)
        return x @ quantised.T + bias

    @staticmethod
    def backward(ctx, grad):
        x, quantised = ctx.saved_tensors
        grad_x = grad @ quantised
        grad_w = grad.flatten(0, -2).T @ x.flatten(0, -2)
        return grad_x, grad_w, None, None


class QuantLinear(nn.Module):
    def __init__(self, fan_in, fan_out, bits=4):
        super().__init__()
        self.bits = bits
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in) / fan_in**0.5)
        self.shift = nn.Parameter(torch.zeros(fan_out))

    def forward(self, x):
        return FakeQuantLinear.apply(x, self.weight, self.shift, self.bits)


class Mixer(nn.Module):
    def __init__(self, tokens=8, channels=12, classes=5):
        super().__init__()
        self.token_mix = QuantLinear(tokens, tokens)
        self.channel_mix = QuantLinear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.classify = nn.Linear(channels, classes)

    def forward(self, x):
        x = x + F.gelu(self.token_mix(x.transpose(1, 2))).transpose(1, 2)
        x = x + F.gelu(self.channel_mix(self.norm(x)))
        return self.classify(x.mean(1))


torch.manual_seed(23)
mixer = Mixer()
optimizer = torch.optim.Adam(mixer.parameters(), lr=1e-3)
for step in range(4):
    loss = F.cross_entropy(mixer(torch.randn(10, 8, 12)), torch.randint(0, 5, (10,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
