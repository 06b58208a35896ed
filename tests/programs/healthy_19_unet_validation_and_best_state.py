"""U-Net training loop with validation, IoU metrics, the best weights kept by deepcopy, and a plateau scheduler."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def double(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU(), nn.Conv2d(cout, cout, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    def __init__(self, base=6):
        super().__init__()
        self.d1, self.d2, self.d3 = double(1, base), double(base, 2 * base), double(2 * base, 4 * base)
        self.u2, self.u1 = double(6 * base, 2 * base), double(3 * base, base)
        self.last = nn.Conv2d(base, 1, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        c = self.d3(F.max_pool2d(b, 2))
        b = self.u2(torch.cat([F.interpolate(c, scale_factor=2), b], 1))
        a = self.u1(torch.cat([F.interpolate(b, scale_factor=2), a], 1))
        return self.last(a)


@torch.inference_mode()
def validate(model, loader):
    model.eval()
    inter = union = 0
    for image, mask in loader:
        predicted = model(image) > 0
        inter += (predicted & mask.bool()).sum().item()
        union += (predicted | mask.bool()).sum().item()
    model.train()
    return inter / max(union, 1)


def main():
    torch.manual_seed(0)
    image = torch.randn(24, 1, 16, 16)
    train_set, valid_set = random_split(TensorDataset(image, (image > 0.3).float()), [16, 8])
    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=1)
    best, best_state, running = -1.0, None, []
    for epoch in range(3):
        for x, y in DataLoader(train_set, batch_size=8, shuffle=True):
            logits = model(x)
            loss = F.binary_cross_entropy_with_logits(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running.append(loss.detach())
        iou = validate(model, DataLoader(valid_set, batch_size=4))
        plateau.step(iou)
        if iou > best:
            best, best_state = iou, copy.deepcopy(model.state_dict())
        print(epoch, torch.stack(running).mean().item(), iou)
    model.load_state_dict(best_state)
    print("best", best)


if __name__ == "__main__":
    main()
