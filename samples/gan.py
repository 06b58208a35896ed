"""Right: the loop of a DCGAN. The discriminator's step is taken on `fake.detach()`, and that cut is meant.

The generator gets its gradient a few lines later, from its own loss, so nothing in here is dead.
"""

import torch
from torch import nn

LATENT, WIDTH = 16, 8

netG = nn.Sequential(
    nn.ConvTranspose2d(LATENT, 4 * WIDTH, 4, 1, 0, bias=False),
    nn.BatchNorm2d(4 * WIDTH),
    nn.ReLU(True),
    nn.ConvTranspose2d(4 * WIDTH, 2 * WIDTH, 4, 2, 1, bias=False),
    nn.BatchNorm2d(2 * WIDTH),
    nn.ReLU(True),
    nn.ConvTranspose2d(2 * WIDTH, 1, 4, 2, 1, bias=False),
    nn.Tanh(),
)
netD = nn.Sequential(
    nn.Conv2d(1, 2 * WIDTH, 4, 2, 1, bias=False),
    nn.LeakyReLU(0.2, inplace=True),
    nn.Conv2d(2 * WIDTH, 4 * WIDTH, 4, 2, 1, bias=False),
    nn.BatchNorm2d(4 * WIDTH),
    nn.LeakyReLU(0.2, inplace=True),
    nn.Conv2d(4 * WIDTH, 1, 4, 1, 0, bias=False),
    nn.Flatten(0),
)


def initialise(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


torch.manual_seed(0)
netG.apply(initialise)
netD.apply(initialise)
criterion = nn.BCEWithLogitsLoss()
optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))
real = torch.ones(8, 1, 16, 16).triu() + 0.1 * torch.randn(8, 1, 16, 16)

for step in range(5):
    # Discriminator: real images up, fakes down.
    netD.zero_grad()
    lossD_real = criterion(netD(real), torch.ones(8))
    lossD_real.backward()
    fake = netG(torch.randn(8, LATENT, 1, 1))
    lossD_fake = criterion(netD(fake.detach()), torch.zeros(8))
    lossD_fake.backward()
    optimizerD.step()
    # Generator: make the discriminator call the fakes real.
    netG.zero_grad()
    lossG = criterion(netD(fake), torch.ones(8))
    lossG.backward()
    optimizerG.step()
    print(f"step {step + 1}: D {(lossD_real + lossD_fake).item():.4f}, G {lossG.item():.4f}")
