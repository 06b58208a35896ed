"""CPU time of auditing files that only define a model: one small file against a plain run of its model, and a hundred files in one call.

    python tests/bench/models.py [ROUNDS]

Prints a table and asserts nothing. A plain run imports torch, builds the model and takes one forward and backward pass. CPU seconds of the
process and all its children; each figure is the median over rounds in which both take turns.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

VIT = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        seen = self.before(x)
        x = x + self.attention(seen, seen, seen, need_weights=False)[0]
        return x + self.mlp(self.between(x))


class ViT(nn.Module):
    def __init__(self, image_size, patch_size, dim, depth, heads, num_classes):
        super().__init__()
        self.patches = nn.Conv2d(3, dim, patch_size, patch_size)
        self.positions = nn.Parameter(torch.zeros(1, (image_size // patch_size) ** 2, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.head = nn.Linear(dim, num_classes)

    def forward(self, img):
        x = self.patches(img).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.blocks(x).mean(1))
"""
PLAIN = "model = ViT(32, 8, 64, 2, 4, 10)\nmodel(torch.randn(2, 3, 32, 32)).square().sum().backward()\n"
FILES = 100


def main() -> None:
    """Measures in a temporary folder, and prints the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "vit.py").write_text(VIT)
        (folder / "plain.py").write_text(VIT + PLAIN)
        (folder / "importing.py").write_text("import torch\n")
        (folder / "models").mkdir()
        for number in range(FILES):
            (folder / "models" / f"vit_{number:03}.py").write_text(VIT)
        audit = ["-m", "gradflow", "audit", "--format", "concise"]
        plain, one, imports = [], [], []
        for _ in range(rounds):
            plain.append(seconds(folder, ["plain.py"]))
            one.append(seconds(folder, [*audit, "vit.py"]))
            imports.append(seconds(folder, ["importing.py"]))
        many = seconds(folder, [*audit, "models", "-j", "2"])
    usual, audited, importing = (statistics.median(values) for values in (plain, one, imports))
    print(f"{'plain run of a small ViT':36} {usual:6.2f} s CPU")
    print(f"{'gradflow audit vit.py':36} {audited:6.2f} s CPU   {audited / usual:.2f} times")
    each, own = many / FILES, usual - importing
    print(f"{f'{FILES} files in one call':36} {many:6.2f} s CPU   {each:.2f} s a file, {each - own:.2f} s beyond its model's {own:.2f} s")


def seconds(folder: Path, words: list[str]) -> float:
    """CPU seconds of `python words` and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], cwd=folder, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
