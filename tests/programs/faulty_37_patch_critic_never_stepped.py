"""Inpainting with a global and a patch critic; each has an optimizer, and one of the two is only ever cleared."""

import torch
import torch.nn.functional as F
from torch import nn


def critic(stride):
    return nn.Sequential(nn.Conv2d(1, 8, 4, stride, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4, 1, 1))


class Inpainter(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Conv2d(2, 8, 3, padding=1)
        self.feature = nn.Conv2d(2, 8, 3, padding=1)
        self.out = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, image, hole):
        x = torch.cat([image * (1 - hole), hole], 1)
        filled = torch.tanh(self.out(torch.sigmoid(self.gate(x)) * F.elu(self.feature(x))))
        return image * (1 - hole) + filled * hole


def adversarial(real, fake):
    return F.softplus(-real).mean() + F.softplus(fake).mean()


torch.manual_seed(1)
painter, whole, patch = Inpainter(), critic(2), critic(1)
opt_painter = torch.optim.Adam(painter.parameters(), lr=1e-4, betas=(0.5, 0.9))
opt_whole = torch.optim.Adam(whole.parameters(), lr=4e-4, betas=(0.5, 0.9))
opt_patch = torch.optim.Adam(patch.parameters(), lr=4e-4, betas=(0.5, 0.9))

for it in range(4):
    image = torch.rand(6, 1, 16, 16) * 2 - 1
    hole = torch.zeros_like(image)
    hole[:, :, 4:12, 4:12] = 1
    fake = painter(image, hole)

    opt_whole.zero_grad()
    opt_patch.zero_grad()
    d_loss = adversarial(whole(image), whole(fake.detach()))
    d_loss = d_loss + adversarial(patch(image[..., 4:12, 4:12]), patch(fake.detach()[..., 4:12, 4:12]))
    d_loss.backward()
    opt_whole.step()

    opt_painter.zero_grad()
    g_loss = F.l1_loss(fake, image) - 0.1 * (whole(fake).mean() + patch(fake[..., 4:12, 4:12]).mean())
    g_loss.backward()
    opt_painter.step()
    print(it, d_loss.item(), g_loss.item())
