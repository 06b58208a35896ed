"""Fine-tuning in two moves: the optimizer takes what is trainable, then the last stage is unfrozen behind its back."""

import torch
import torch.nn.functional as F
from torch import nn


class Stage(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, 2, 1)
        self.act = nn.Hardswish()

    def forward(self, x):
        return self.act(self.conv(x))


class Classifier(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.stage1 = Stage(3, 8)
        self.stage2 = Stage(8, 16)
        self.stage3 = Stage(16, 24)
        self.fc = nn.Linear(24, classes)

    def forward(self, x):
        return self.fc(self.stage3(self.stage2(self.stage1(x))).mean((2, 3)))


def freeze_body(model):
    for name, p in model.named_parameters():
        p.requires_grad = name.startswith("fc")


def make_optimizer(model):
    return torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.05, momentum=0.9)


def unfreeze(model, *stages):
    for stage in stages:
        getattr(model, stage).requires_grad_(True)


torch.manual_seed(0)
model = Classifier()
freeze_body(model)
optimizer = make_optimizer(model)
unfreeze(model, "stage3")
for step in range(4):
    image, label = torch.randn(8, 3, 16, 16), torch.randint(0, 4, (8,))
    loss = F.cross_entropy(model(image), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
