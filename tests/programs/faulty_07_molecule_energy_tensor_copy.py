"""Energies of small molecules: message passing gives atom energies, a linear term gives the reference per element."""

import torch
from torch import nn

ELEMENTS, WIDTH = 4, 20


class MessageLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.edge = nn.Linear(2 * WIDTH + 1, WIDTH)
        self.node = nn.GRUCell(WIDTH, WIDTH)

    def forward(self, h, src, dst, dist):
        message = torch.relu(self.edge(torch.cat([h[src], h[dst], dist], -1)))
        pooled = torch.zeros_like(h).index_add(0, dst, message)
        return self.node(pooled, h)


class EnergyModel(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.species = nn.Embedding(ELEMENTS, WIDTH)
        self.layers = nn.ModuleList(MessageLayer() for _ in range(depth))
        self.atom_energy = nn.Linear(WIDTH, 1)
        self.reference = nn.Linear(ELEMENTS, 1, bias=False)

    def forward(self, z, pos, molecule, n_mol):
        same = molecule[:, None] == molecule[None, :]
        src, dst = (same & ~torch.eye(len(z), dtype=torch.bool)).nonzero(as_tuple=True)
        dist = (pos[src] - pos[dst]).norm(dim=-1, keepdim=True)
        h = self.species(z)
        for layer in self.layers:
            h = layer(h, src, dst, dist)
        per_atom = self.atom_energy(h).squeeze(-1)
        interaction = torch.tensor([per_atom[molecule == m].sum() for m in range(n_mol)])
        counts = torch.zeros(n_mol, ELEMENTS).index_put((molecule, z), torch.ones(len(z)), accumulate=True)
        return interaction + self.reference(counts).squeeze(-1)


torch.manual_seed(8)
model = EnergyModel()
optimiser = torch.optim.Adam(model.parameters(), lr=5e-3, amsgrad=True)
molecule = torch.arange(6).repeat_interleave(5)
for step in range(4):
    z, pos = torch.randint(0, ELEMENTS, (30,)), torch.randn(30, 3)
    energy = torch.randn(6)
    loss = nn.functional.l1_loss(model(z, pos, molecule, 6), energy)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    print("step", step, "mae", loss.item())
