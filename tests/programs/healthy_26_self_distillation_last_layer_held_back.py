"""Self-distillation with no labels: teacher by moving average, centring, the last layer's gradient dropped at first."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F


class Head(nn.Module):
    def __init__(self, dim, out):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 12))
        self.last_layer = nn.Linear(12, out, bias=False)

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=-1))


class DINOLoss(nn.Module):
    def __init__(self, out):
        super().__init__()
        self.register_buffer("center", torch.zeros(1, out))

    def forward(self, student, teacher):
        target = F.softmax((teacher - self.center) / 0.04, dim=-1).detach()
        loss = torch.sum(-target * F.log_softmax(student / 0.1, dim=-1), -1).mean()
        self.update(teacher)
        return loss

    @torch.no_grad()
    def update(self, teacher):
        self.center = self.center * 0.9 + teacher.mean(0, keepdim=True) * 0.1


torch.manual_seed(0)
student = nn.Sequential(nn.Linear(20, 24), nn.GELU(), Head(24, 16))
teacher = copy.deepcopy(student)
for p in teacher.parameters():
    p.requires_grad = False
criterion = DINOLoss(16)
optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
FREEZE_LAST_LAYER = 5
for it in range(10):
    x = torch.randn(16, 20)
    views = [x + 0.2 * torch.randn_like(x) for _ in range(2)]
    loss = criterion(student(views[0]), teacher(views[1])) + criterion(student(views[1]), teacher(views[0]))
    optimizer.zero_grad()
    loss.backward()
    if it < FREEZE_LAST_LAYER:
        for n, p in student.named_parameters():
            if "last_layer" in n:
                p.grad = None
    optimizer.step()
    with torch.no_grad():
        for ps, pt in zip(student.parameters(), teacher.parameters(), strict=True):
            pt.mul_(0.99).add_(0.01 * ps)
    print(it, loss.item())
