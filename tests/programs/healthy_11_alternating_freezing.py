"""Matrix factorisation with side information, solved by turns: odd epochs freeze the users, even epochs freeze the items."""

import torch
from torch import nn


class Ratings(nn.Module):
    def __init__(self, users=30, items=25, dim=5):
        super().__init__()
        self.user = nn.Embedding(users, dim)
        self.item = nn.Sequential(nn.Linear(6, 16), nn.SELU(), nn.Linear(16, dim))
        self.mean = nn.Parameter(torch.zeros(()))

    def forward(self, user, item_features):
        return self.mean + (self.user(user) * self.item(item_features)).sum(-1)


def freeze(module, frozen):
    for p in module.parameters():
        p.requires_grad_(not frozen)


torch.manual_seed(0)
model = Ratings()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
catalogue = torch.randn(25, 6)
truth = torch.randn(30, 25)
for epoch in range(6):
    freeze(model.user, epoch % 2 == 1)
    freeze(model.item, epoch % 2 == 0)
    user, item = torch.randint(0, 30, (128,)), torch.randint(0, 25, (128,))
    optimizer.zero_grad(set_to_none=True)
    loss = (model(user, catalogue[item]) - truth[user, item]).pow(2).mean()
    loss.backward()
    optimizer.step()
    print(epoch, "users" if epoch % 2 == 0 else "items", loss.item())
