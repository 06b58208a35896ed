"""Recurrent attention: a locator decides where to crop the next glimpse, a recurrent core reads the glimpses."""

import torch
import torch.nn.functional as F
from torch import nn


class GlimpseReader(nn.Module):
    def __init__(self, size=20, patch=6, hidden=32, classes=5):
        super().__init__()
        self.size, self.patch = size, patch
        self.glimpse = nn.Linear(patch * patch, hidden)
        self.core = nn.RNNCell(hidden, hidden)
        self.locator = nn.Linear(hidden, 2)
        self.classifier = nn.Linear(hidden, classes)

    def crop(self, image, where):
        corner = (torch.sigmoid(where) * (self.size - self.patch)).round().long()
        rows = corner[:, 0, None] + torch.arange(self.patch)
        cols = corner[:, 1, None] + torch.arange(self.patch)
        batch = torch.arange(len(image))[:, None, None]
        return image[batch, rows[:, :, None], cols[:, None, :]]

    def forward(self, image, looks=3):
        state = image.new_zeros(len(image), self.core.hidden_size)
        for _ in range(looks):
            patch = self.crop(image, self.locator(state))
            state = self.core(F.relu(self.glimpse(patch.flatten(1))), state)
        return self.classifier(state)


class Trainer:
    def __init__(self, model, lr=3e-3):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.history = []

    def run(self, batches):
        for image, label in batches:
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(image), label)
            loss.backward()
            nn.utils.clip_grad_value_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.history.append(loss.item())


torch.manual_seed(13)
trainer = Trainer(GlimpseReader())
trainer.run((torch.rand(10, 20, 20), torch.randint(0, 5, (10,))) for _ in range(4))
print(trainer.history)
