"""Transfer learning with a Trainer class: the optimizer is made in the constructor, the output layer is swapped afterwards."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class TemporalNet(nn.Module):
    def __init__(self, channels=4, width=16, outputs=10):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(channels if d == 0 else width, width, 3, dilation=2**d, padding=2**d) for d in range(3))
        self.output = nn.Linear(width, outputs)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            h = F.relu(layer(x))
            x = h if i == 0 else x + h
        return self.output(x[..., -1])


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.loss_fn = nn.CrossEntropyLoss()

    def adapt(self, classes):
        self.model.output = nn.Linear(self.model.output.in_features, classes)

    def fit(self, loader, epochs):
        for epoch in range(epochs):
            total = 0.0
            for signal, label in loader:
                self.optimizer.zero_grad()
                loss = self.loss_fn(self.model(signal), label)
                loss.backward()
                self.optimizer.step()
                total += loss.item()
            print(f"epoch {epoch}: {total / len(loader):.4f}")


def main():
    torch.manual_seed(5)
    trainer = Trainer(TemporalNet(), lr=1e-3)
    trainer.adapt(classes=3)
    data = TensorDataset(torch.randn(32, 4, 20), torch.randint(0, 3, (32,)))
    trainer.fit(DataLoader(data, batch_size=16), epochs=2)


main()
