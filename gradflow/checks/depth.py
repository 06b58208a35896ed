"""How the size of gradients changes with depth: one number a layer, in the order in which the layers are called. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import median

from gradflow.checks.base import Case
from gradflow.checks.order import takers
from gradflow.graph.recording import ParameterFact
from gradflow.graph.site import Site
from gradflow.verdict import Verdict, judge_step

LEAST_LAYERS = 8
"""Fewer layers show no trend with depth."""
LEAST_STEPS = 2
VANISHING = 1e-5
"""Shallow end over deep end. Measured at the first step (torch 2.13): the lowest of the sound ones are 5e-5 (a GELU MLP of 10 layers with
torch's own initialisation, an LSTM of 8 layers over 200 steps), the highest of the others 5e-6 (a ReLU MLP of 16 layers with torch's own
initialisation) and 4e-6 (a sigmoid MLP of 8 layers with Xavier's)."""
EXPLODING = 1e6
"""Shallow end over deep end. The highest of sound ones are 4e2 (a ResNet-101) and 1e4 (a tanh MLP of 100 layers, Xavier, gain 5/3)."""
_END = 10  # one layer in so many, at either end


@dataclass(frozen=True, slots=True)
class Depth:
    """The layers of one root by depth. `layers[k]` are the parameters of the layer called k-th; `sizes[s][k]` the root mean square of its
    weight's gradient in step s, unitless; `sites[k]` where it is called."""

    root: str
    layers: tuple[int, ...]
    sizes: tuple[tuple[float, ...], ...]
    sites: tuple[Site | None, ...]

    def ratio(self, step: int) -> float:
        """The size at the shallow end over the size at the deep end, the medians of one layer in ten at either end."""
        sizes, end = self.sizes[step], max(1, len(self.layers) // _END)
        return median(sizes[:end]) / median(sizes[-end:])

    def small(self, share: float) -> list[int]:
        """Places of the layers that are at the small end in every step: under `share` of the largest one."""
        return [k for k in range(len(self.layers)) if all(step[k] < share * max(step) for step in self.sizes)]


def depths(case: Case) -> list[Depth]:
    """One for each root with enough layers and steps; the weights of the layers must be live in each of their steps."""
    roots: dict[str, list[int]] = {}
    for index in case.free(Verdict.LIVE):
        if _counts(case.facts[index]):
            roots.setdefault(case.facts[index].root, []).append(index)
    enough = {root: members for root, members in roots.items() if len(members) >= LEAST_LAYERS}
    calls = takers(case.graph, [i for members in enough.values() for i in members]) if enough else {}
    found = []
    for root, members in enough.items():
        called = sorted((index for index in members if index in calls), key=lambda index: calls[index][0])
        steps = min((len(case.facts[index].steps) for index in called), default=0)
        if len(called) >= LEAST_LAYERS and steps >= LEAST_STEPS:
            sizes = tuple(tuple(_size(case.facts[index], step) for index in called) for step in range(steps))
            found.append(Depth(root, tuple(called), sizes, tuple(case.graph.site_of(calls[index][0]) for index in called)))
    return found


def _counts(fact: ParameterFact) -> bool:
    """Weights of layers alone: gains and biases have sizes of their own, and tables get gradients in a few rows only."""
    live = all(judge_step(step) is Verdict.LIVE and step.grad_norm for step in fact.steps)
    return live and len(fact.shape) > 1 and "Embedding" not in fact.owner_class


def _size(fact: ParameterFact, step: int) -> float:
    return (fact.steps[step].grad_norm or 0.0) / sqrt(max(1, fact.elements))
