"""Deep and cross network with two tasks; the second head has a single output and is trained with cross-entropy."""

import torch
import torch.nn.functional as F
from torch import nn


class CrossNetwork(nn.Module):
    def __init__(self, width, depth=2):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x0):
        x = x0
        for layer in self.layers:
            x = x0 * layer(x) + x
        return x


class Ranker(nn.Module):
    def __init__(self, cardinalities=(30, 12, 7), dim=6):
        super().__init__()
        width = dim * len(cardinalities)
        self.tables = nn.ModuleList(nn.Embedding(n, dim) for n in cardinalities)
        self.cross = CrossNetwork(width)
        self.click = nn.Linear(width, 1)
        self.purchase_tower = nn.Sequential(nn.Linear(width, 16), nn.ReLU())
        self.purchase = nn.Linear(16, 1)

    def forward(self, columns):
        fields = torch.cat([table(column) for table, column in zip(self.tables, columns.unbind(1), strict=True)], -1)
        shared = self.cross(fields)
        return self.click(shared).squeeze(-1), self.purchase(self.purchase_tower(shared))


def multitask_loss(click_logit, purchase_logits, clicked, bought):
    click = F.binary_cross_entropy_with_logits(click_logit, clicked.float())
    purchase = F.cross_entropy(purchase_logits, bought)
    return click + purchase, {"click": click.item(), "purchase": purchase.item()}


torch.manual_seed(12)
ranker = Ranker()
optimizer = torch.optim.RMSprop(ranker.parameters(), lr=1e-3)
limits = torch.tensor([30, 12, 7])
for step in range(4):
    columns = (torch.rand(40, 3) * limits).long()
    clicked = torch.randint(0, 2, (40,))
    bought = torch.zeros(40, dtype=torch.long)  # only buyers are left after filtering
    loss, log = multitask_loss(*ranker(columns), clicked, bought)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, log)
