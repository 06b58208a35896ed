"""Wrong: a residual network whose features are taken out of stage 2 through `.data`, so the stem and the first two stages never learn.

Stages 3 and 4 and the classifier do learn, on random features, and the accuracy gets better all the same.
"""

import torch
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, width=8, classes=4):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.stage1 = self._stage(width, width, 1)
        self.stage2 = self._stage(width, 2 * width, 2)
        self.stage3 = self._stage(2 * width, 4 * width, 2)
        self.stage4 = self._stage(4 * width, 8 * width, 2)
        self.fc = nn.Linear(8 * width, classes)
        self.saved = None

    @staticmethod
    def _stage(inputs, outputs, stride):
        return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs))

    def forward(self, x):
        x = self.stage1(self.stem(x))
        x = self.saved = self.stage2(x).data  # kept to draw the activations
        x = self.stage4(self.stage3(x))
        return self.fc(x.mean(dim=(2, 3)))


torch.manual_seed(0)
model = ResNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
criterion = nn.CrossEntropyLoss()
labels = torch.randint(4, (32,))
images = torch.randn(32, 3, 16, 16) + labels.view(-1, 1, 1, 1)

for step in range(6):
    optimizer.zero_grad()
    scores = model(images)
    loss = criterion(scores, labels)
    loss.backward()
    optimizer.step()
    accuracy = (scores.argmax(1) == labels).float().mean().item()
    print(f"step {step + 1}: loss {loss.item():.4f}, accuracy {accuracy:.0%}")
