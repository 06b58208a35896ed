"""Gradients that shrink with depth until nothing is left for the first layers.

## What it checks
The size of the gradient (root mean square over the elements of a layer's weight) along the layers of one model, in the order in which they
are called. It is a warning where at least 8 layers are live, and the first tenth of them gets less than 1e-5 of what the last tenth gets
(medians), in each of at least 2 steps.

Where the line is drawn was measured on networks at their first step, shallow end over deep end:

| network | ratio |
| --- | --- |
| ResNet-18, 50, 101, 110 | 2 to 400 |
| DenseNet-121 | 30 |
| transformer of 6 to 48 layers, norm first or last, torch's initialisation or a standard deviation of 0.02 | 0.2 to 1.5 |
| ViT of 24 and 32 layers | 2 |
| U-Net, with and without normalisation | 0.5 |
| VGG-19 with BatchNorm; without, Kaiming's initialisation | 0.08; 2e-4 |
| RNN, GRU, LSTM of 1 to 4 layers, 200 steps | 0.01 to 0.9 |
| GRU and LSTM of 8 layers, 200 steps | 1e-2 and 5e-5 |
| MLP of 8 to 100 layers: ReLU or GELU with Kaiming's initialisation, tanh with Xavier's, SELU, orthogonal, LayerNorm | 0.07 to 1e4 |
| MLP of 10 layers, torch's initialisation: tanh, ReLU, GELU | 3e-2, 7e-4, 5e-5 |
| MLP of 16 and 20 layers, ReLU, torch's initialisation | 5e-6 and 8e-8 |
| MLP of 8 layers, sigmoid: Xavier's initialisation, torch's | 4e-6, 1e-7 |
| MLP of 8 layers, ReLU, standard deviation of 0.01 | 4e-9 |
| VGG-19 without BatchNorm, torch's initialisation | 3e-7 |
| MLP of 20 layers, sigmoid | 3e-17 |

## Why it matters
The first layers are live by every test and do not learn: their updates are lost beside those of the others, or in rounding. Chains of
`sigmoid` or `tanh`, many layers without a shortcut, and weights that start too small do this.

## Example
```python
body = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.Sigmoid()) for _ in range(30)])
```

## Use instead
Shortcuts (`x + f(x)`), normalisation, `relu` or `gelu` with the initialisation made for it:

```python
nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, count
from gradflow.checks.depth import VANISHING, Depth, depths
from gradflow.report import Finding, Severity

CODE = "GF203"
NAME = "vanishing-gradient"
SEVERITY = Severity.WARNING


def find(case: Case) -> Iterable[Finding]:
    """One finding for each model."""
    for depth in depths(case):
        worst = max(depth.ratio(step) for step in range(len(depth.sizes)))
        if worst < VANISHING and depth.small(VANISHING):
            yield _finding(case, depth, worst)


def _finding(case: Case, depth: Depth, worst: float) -> Finding:
    members = [depth.layers[place] for place in depth.small(VANISHING)]
    first = depth.layers[0]
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"the gradient vanishes with depth: `{case.facts[first].name}` gets {worst:.0e} of what the last layers of `{depth.root}` get",
        case.names(members),
        sites=cause_site(case.facts[first].definition or depth.sites[0], "the first layer: almost nothing comes back to it"),
        help=("add shortcuts or normalisation, or an initialisation that keeps the size of the gradient over the layers",),
        notes=(f"{count(len(depth.layers), 'layer')}, root mean square of each weight's gradient, in every step seen",),
    )
