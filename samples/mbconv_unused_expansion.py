"""Wrong: an EfficientNet whose first block has a layer that it never calls. The file only defines classes; gradflow builds the main one.

With an expansion of 1 a block skips its first convolution, but builds it all the same. A widely copied implementation has this fault: the
layer is counted, saved and decayed, and never learns. It is a warning here, since gradflow made the inputs up.
"""

import torch
from torch import nn


class MBConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        self.expansion = expansion
        width = inputs * expansion
        self.expand = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.BatchNorm2d(width), nn.SiLU())
        depthwise = nn.Conv2d(width, width, 3, stride, 1, groups=width)
        self.depthwise = nn.Sequential(depthwise, nn.BatchNorm2d(width), nn.SiLU())
        self.project = nn.Conv2d(width, outputs, 1)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x if self.expansion == 1 else self.expand(x)
        out = self.project(self.depthwise(wide))
        return x + out if self.skips else out


class EfficientNet(nn.Module):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.SiLU())
        self.blocks = nn.Sequential(MBConv(16, 16, 1, 1), MBConv(16, 24, 6, 2), MBConv(24, 24, 6, 1))
        self.classifier = nn.Linear(24, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.blocks(self.stem(x)).mean((2, 3)))
