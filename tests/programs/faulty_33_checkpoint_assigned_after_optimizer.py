"""Resuming an autoencoder: the checkpoint is loaded with assign=True after the optimizer took hold of the old tensors."""

import io

import torch
from torch import nn


def build():
    return nn.Sequential(
        nn.Linear(20, 12),
        nn.Softplus(),
        nn.Linear(12, 3),
        nn.Softplus(),
        nn.Linear(3, 20),
    )


def pretrained_checkpoint():
    buffer = io.BytesIO()
    torch.save(build().state_dict(), buffer)
    buffer.seek(0)
    return buffer


torch.manual_seed(15)
autoencoder = build()
optimizer = torch.optim.Adam(autoencoder.parameters(), lr=1e-2)
state = torch.load(pretrained_checkpoint(), weights_only=True)
autoencoder.load_state_dict(state, assign=True)

data = torch.randn(128, 20) @ torch.randn(20, 20) / 5
for step in range(6):
    batch = data[torch.randint(0, 128, (32,))]
    loss = nn.functional.mse_loss(autoencoder(batch), batch)
    autoencoder.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
