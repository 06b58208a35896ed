"""Two generators, two critics; requires_grad of the critics is switched around the generator step."""

import itertools
import random

import torch
import torch.nn as nn
import torch.nn.functional as F


def block(i, o):
    return nn.Sequential(nn.Linear(i, 20), nn.LeakyReLU(0.2), nn.Linear(20, o))


class Pool:
    def __init__(self, size=6):
        self.size, self.items = size, []

    def query(self, x):
        if len(self.items) < self.size:
            self.items.append(x)
            return x
        if random.random() > 0.5:
            k = random.randrange(self.size)
            old, self.items[k] = self.items[k], x
            return old
        return x


class CycleGAN:
    def __init__(self):
        self.G_A, self.G_B, self.D_A, self.D_B = block(6, 6), block(6, 6), block(6, 1), block(6, 1)
        self.opt_G = torch.optim.Adam(itertools.chain(self.G_A.parameters(), self.G_B.parameters()), 2e-3)
        self.opt_D = torch.optim.Adam(itertools.chain(self.D_A.parameters(), self.D_B.parameters()), 2e-3)
        self.pool_A, self.pool_B = Pool(), Pool()

    def set_requires_grad(self, nets, flag):
        for net in nets:
            for p in net.parameters():
                p.requires_grad = flag

    def lsgan(self, d, x, real):
        s = d(x)
        return F.mse_loss(s, torch.ones_like(s) if real else torch.zeros_like(s))

    def optimize(self, a, b):
        fake_b, fake_a = self.G_A(a), self.G_B(b)
        self.set_requires_grad([self.D_A, self.D_B], False)
        self.opt_G.zero_grad()
        loss = self.lsgan(self.D_A, fake_b, True) + self.lsgan(self.D_B, fake_a, True)
        loss = loss + 10 * (F.l1_loss(self.G_B(fake_b), a) + F.l1_loss(self.G_A(fake_a), b))
        loss.backward()
        self.opt_G.step()
        self.set_requires_grad([self.D_A, self.D_B], True)
        self.opt_D.zero_grad()
        for d, real, fake in ((self.D_A, b, self.pool_B.query(fake_b)), (self.D_B, a, self.pool_A.query(fake_a))):
            ((self.lsgan(d, real, True) + self.lsgan(d, fake.detach(), False)) * 0.5).backward()
        self.opt_D.step()
        return loss.item()


random.seed(0)
torch.manual_seed(0)
model = CycleGAN()
for i in range(5):
    print(i, model.optimize(torch.randn(8, 6), torch.randn(8, 6) + 1))
