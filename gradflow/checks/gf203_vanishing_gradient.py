"""Gradients that shrink with depth until nothing is left for the first layers.

## What it checks
The size of the gradient (root mean square over the elements of a layer's weight) along the layers of one model, in the order in which they
are called. It is a warning where at least 8 layers are live, and the first tenth of them gets less than a millionth of what the last tenth
gets, in each of at least 2 steps. Sound deep networks at their first step stay within a thousandth.

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
from gradflow.checks.depth import RATIO, Depth, depths
from gradflow.report import Finding, Severity

CODE = "GF203"
NAME = "vanishing-gradient"
SEVERITY = Severity.WARNING


def find(case: Case) -> Iterable[Finding]:
    """One finding for each model."""
    for depth in depths(case):
        worst = max(depth.ratio(step) for step in range(len(depth.sizes)))
        if worst * RATIO < 1.0 and depth.small():
            yield _finding(case, depth, worst)


def _finding(case: Case, depth: Depth, worst: float) -> Finding:
    members = [depth.layers[place] for place in depth.small()]
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
