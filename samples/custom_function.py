"""Wrong: a hand-written autograd Function, a quantising activation with a learnable step as in LSQ, whose backward returns None for the step.

Autograd's graph is whole and the weights learn, yet the step sizes never get a gradient.
"""

import torch
from torch import nn


class Quantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, step, levels):
        ctx.save_for_backward(x, step)
        ctx.levels = levels
        return (x / step).round().clamp(0, levels) * step

    @staticmethod
    def backward(ctx, grad):
        x, step = ctx.saved_tensors
        inside = (x >= 0) & (x <= ctx.levels * step)
        return grad * inside, None, None


class QuantisedReLU(nn.Module):
    def __init__(self, levels=15):
        super().__init__()
        self.step = nn.Parameter(torch.tensor(0.1))
        self.levels = levels

    def forward(self, x):
        return Quantise.apply(x, self.step, self.levels)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.act1 = QuantisedReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.act2 = QuantisedReLU()
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.act1(self.conv1(x))
        x = self.act2(self.conv2(x))
        return self.head(x.mean(dim=(2, 3)))


torch.manual_seed(0)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
images, labels = torch.randn(24, 1, 8, 8), torch.randint(3, (24,))

for step in range(5):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    print(f"step {step + 1}: loss {loss.item():.4f}, step sizes {model.act1.step.item():.3f} {model.act2.step.item():.3f}")
