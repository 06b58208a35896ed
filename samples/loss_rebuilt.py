"""Wrong: a detector whose losses are gathered in a list and put together by torch.tensor(..., requires_grad=True).

`torch.tensor` copies the numbers and nothing else. `requires_grad=True` only silences the error that would have told (a warning is all
that is left of it): backward then ends at the new tensor, and no layer gets a gradient.
Use instead: `torch.stack(losses).sum()`.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Detector(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.boxes = nn.Linear(16, 4)
        self.classes = nn.Linear(16, classes)

    def forward(self, images):
        features = self.backbone(images)
        return self.boxes(features), self.classes(features)


torch.manual_seed(0)
model = Detector()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
images, boxes, labels = torch.randn(16, 1, 16, 16), torch.rand(16, 4), torch.randint(3, (16,))

for step in range(4):
    found_boxes, scores = model(images)
    losses = [F.smooth_l1_loss(found_boxes, boxes), F.cross_entropy(scores, labels)]
    loss = torch.tensor(losses, requires_grad=True).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step + 1}: loss {loss.item():.4f}")
