"""Captioner that reads the vision encoder's tokens through a forward hook."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Encoder(nn.Module):
    def __init__(self, dim=24, patch=27, classes=10):
        super().__init__()
        self.embed = nn.Linear(patch, dim)
        self.block = nn.TransformerEncoderLayer(dim, 4, 48, dropout=0.0, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Linear(dim, classes)

    def forward(self, patches):
        tokens = self.norm(self.block(self.embed(patches)))
        return self.fc(tokens.mean(1))


class Extractor(nn.Module):
    """Runs the classifier for its tokens; what comes after the hooked layer is not wanted."""

    def __init__(self, vit):
        super().__init__()
        self.vit = vit
        self.tokens = None
        self.vit.fc.requires_grad_(False)
        self.vit.norm.register_forward_hook(self._keep)

    def _keep(self, module, inputs, output):
        self.tokens = output.clone().detach()

    def forward(self, patches):
        self.vit(patches)
        return self.tokens


class Captioner(nn.Module):
    def __init__(self, vocab=40, dim=24):
        super().__init__()
        self.extract = Extractor(Encoder(dim))
        self.words = nn.Embedding(vocab, dim)
        self.cross = nn.MultiheadAttention(dim, 4, batch_first=True)
        self.head = nn.Linear(dim, vocab)

    def forward(self, patches, caption):
        memory = self.extract(patches)
        q = self.words(caption)
        return self.head(q + self.cross(q, memory, memory)[0])


def main():
    torch.manual_seed(2)
    model = Captioner()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-4)
    for step in range(4):
        patches, caption = torch.randn(4, 9, 27), torch.randint(0, 40, (4, 8))
        logits = model(patches, caption[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), caption[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        print(f"{step} {loss.item():.4f}")


if __name__ == "__main__":
    main()
