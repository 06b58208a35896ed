"""What `gradflow.watch(every=100)` costs a training: `python tests/bench/watch.py [ROUNDS [STEPS]]`. Prints a table, asserts nothing.

In one process, and in each round: STEPS steps under the watch, past the first ones, which are recorded, and between plain ones. Ratios are
of CPU time (one thread), within a round: `not watched` leaves the watched steps out, `all` has them in.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

import gradflow

EVERY = 100


def transformer() -> tuple[nn.Module, torch.Tensor]:
    """Four encoder layers of width 128, on 8 sequences of 32."""
    layer = nn.TransformerEncoderLayer(128, 4, 256, 0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), torch.randn(8, 32, 128)


def cnn() -> tuple[nn.Module, torch.Tensor]:
    """Six convolutions with BatchNorm, on 8 images of 32 x 32."""
    widths = [3, 16, 16, 32, 32, 64, 64]
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, 2 if outputs > inputs > 3 else 1, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers), torch.randn(8, 3, 32, 32)


def mlp() -> tuple[nn.Module, torch.Tensor]:
    """Three small linear layers: the shortest step that anyone would train."""
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)), torch.randn(32, 32)


def seconds_of(steps: int, take: Callable[[], None]) -> list[float]:
    """CPU seconds of each of so many steps."""
    found = []
    for _ in range(steps):
        start = time.process_time()
        take()
        found.append(time.process_time() - start)
    return found


def measure(make: Callable[[], tuple[nn.Module, torch.Tensor]], steps: int) -> tuple[float, float, float]:
    """(milliseconds of a plain step, ratio of steps that are not watched, ratio of all steps) of one round."""
    torch.manual_seed(0)
    model, data = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def take() -> None:
        optimizer.zero_grad()
        model(data).square().mean().backward()
        optimizer.step()

    seconds_of(20, take)
    plain = seconds_of(steps // 2, take)
    with gradflow.watch(model, optimizer, every=EVERY):
        seconds_of(EVERY, take)
        watched = seconds_of(steps, take)
    plain += seconds_of(steps - steps // 2, take)
    quiet = [value for index, value in enumerate(watched) if (index + 1) % EVERY]
    return statistics.median(plain) * 1e3, statistics.median(quiet) / statistics.median(plain), sum(watched) / sum(plain)


def main() -> None:
    """Prints the table."""
    rounds, steps = (int(word) for word in (*sys.argv[1:3], *("7", "300")[len(sys.argv[1:3]) :]))
    torch.set_num_threads(1)
    print(f"{'model':<14}{'plain ms':>10}{'not watched: median':>22}{'lowest':>9}{'all: median':>14}{'lowest':>9}")
    for make in (transformer, cnn, mlp):
        found = [measure(make, steps) for _ in range(rounds)]
        plain, quiet, every = (sorted(column) for column in zip(*found, strict=True))
        middle = [statistics.median(column) for column in (plain, quiet, every)]
        print(f"{make.__name__:<14}{middle[0]:>10.2f}{middle[1]:>22.4f}{quiet[0]:>9.4f}{middle[2]:>14.4f}{every[0]:>9.4f}", flush=True)


if __name__ == "__main__":
    main()
