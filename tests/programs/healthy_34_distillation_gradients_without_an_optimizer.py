"""Looks at the gradients that a distillation loss would give; teacher and student live in one module, and nothing is stepped."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Distiller(nn.Module):
    def __init__(self):
        super().__init__()
        self.teacher = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 5))
        self.student = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 5))

    def forward(self, x, temperature=3.0):
        with torch.no_grad():
            soft = F.softmax(self.teacher(x) / temperature, dim=-1)
        logits = F.log_softmax(self.student(x) / temperature, dim=-1)
        return F.kl_div(logits, soft, reduction="batchmean") * temperature**2


torch.manual_seed(0)
model = Distiller()
sizes = {}
for _ in range(3):
    model.zero_grad()
    loss = model(torch.randn(32, 10))
    loss.backward()
    for name, p in model.student.named_parameters():
        sizes.setdefault(name, []).append(p.grad.norm().item())
print({name: sum(values) / len(values) for name, values in sizes.items()})
