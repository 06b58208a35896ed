"""Two-stream action recognition where a hand-written autograd Function fuses the streams; it is given them as a tuple."""

import torch
import torch.nn.functional as F
from torch import nn


class MeanFuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, streams):
        ctx.count = len(streams)
        return torch.stack(list(streams)).mean(0)

    @staticmethod
    def backward(ctx, grad):
        return tuple(grad / ctx.count for _ in range(ctx.count))


class Stream(nn.Sequential):
    def __init__(self, channels):
        super().__init__(nn.Conv3d(channels, 8, (2, 3, 3)), nn.Hardswish(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 16))


class TwoStream(nn.Module):
    def __init__(self, actions=4):
        super().__init__()
        self.rgb = Stream(3)
        self.flow = Stream(2)
        self.classifier = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, actions))

    def forward(self, rgb, flow):
        fused = MeanFuse.apply((self.rgb(rgb), self.flow(flow)))
        return self.classifier(fused)


torch.manual_seed(9)
net = TwoStream()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for clip in range(4):
    rgb, flow = torch.rand(6, 3, 4, 8, 8), torch.rand(6, 2, 4, 8, 8)
    action = torch.randint(0, 4, (6,))
    loss = F.multi_margin_loss(net(rgb, flow), action)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(clip, loss.item())
