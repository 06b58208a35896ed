"""Gradients that grow with depth beyond all measure.

## What it checks
The size of the gradient (root mean square over the elements of a layer's weight) along the layers of one model, in the order in which they
are called. It is a warning where at least 8 layers are live, and the first tenth of them gets more than a million times what the last tenth
gets (medians), in each of at least 2 steps.

Measured at the first step, sound networks stay within 400 (a ResNet-101), and an MLP of 100 layers with tanh and Xavier's initialisation
at a gain of 5/3 comes to 1e4; the page of GF203 has the table. What explodes in all layers alike is not told by a ratio: an MLP with ReLU
whose weights start too large gets the same huge gradient everywhere, until it overflows, which is GF202.

## Why it matters
One step throws the first layers far away; the loss jumps or becomes NaN. Weights that start too large, long recurrences and products of
many factors do this.

## Example
```python
for layer in body:
    nn.init.normal_(layer.weight)  # a standard deviation of 1, whatever the width
```

## Use instead
```python
for layer in body:
    nn.init.kaiming_normal_(layer.weight)
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, count
from gradflow.checks.depth import EXPLODING, Depth, depths
from gradflow.report import Finding, Severity

CODE = "GF204"
NAME = "exploding-gradient"
SEVERITY = Severity.WARNING


def find(case: Case) -> Iterable[Finding]:
    """One finding for each model."""
    for depth in depths(case):
        least = min(depth.ratio(step) for step in range(len(depth.sizes)))
        if least > EXPLODING:
            yield _finding(case, depth, least)


def _finding(case: Case, depth: Depth, least: float) -> Finding:
    small = set(depth.small(1.0 / EXPLODING))
    members = [index for place, index in enumerate(depth.layers) if place not in small]
    first = depth.layers[0]
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"the gradient explodes with depth: `{case.facts[first].name}` gets {least:.0e} times what the last layers of `{depth.root}` get",
        case.names(members),
        sites=cause_site(case.facts[first].definition or depth.sites[0], "the first layer: the gradient has grown on its way to it"),
        help=("start with smaller weights, add normalisation, or clip: `torch.nn.utils.clip_grad_norm_(parameters, 1.0)`",),
        notes=(f"{count(len(depth.layers), 'layer')}, root mean square of each weight's gradient, in every step seen",),
    )
