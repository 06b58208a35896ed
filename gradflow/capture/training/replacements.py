"""Parameters that took another one's place in a module: a new head, a resized embedding, `load_state_dict(assign=True)`."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from gradflow.capture.flow.trace import Place
from gradflow.capture.flow.values import Trace

Part = torch.nn.Module | torch.nn.Parameter
KEPT = 10_000
"""Events kept; a module that is rebuilt in every forward replaces its parameters without end."""


@dataclass(slots=True)
class Replacement:
    """One assignment that put new leaves in the place of old ones (serials), by name relative to what was assigned."""

    place: Place | None
    pairs: list[tuple[int, int]]


@dataclass(slots=True)
class Replacements:
    """All replacements seen, in order."""

    seen: list[Replacement] = field(default_factory=list)

    def note(
        self, trace: Trace, place: Place | None, old: torch.nn.Module | torch.nn.Parameter, new: torch.nn.Module | torch.nn.Parameter
    ) -> None:
        """Notes that `new` takes the place of `old`."""
        befores, afters = _leaves(trace, old), _leaves(trace, new)
        pairs = [(serial, afters[name]) for name, serial in befores.items() if name in afters and afters[name] != serial]
        if not pairs and befores and afters and isinstance(old, torch.nn.Module):
            # Another kind of module: what it held is gone, whatever the new ones are called.
            pairs = [(serial, next(iter(afters.values()))) for serial in befores.values() if serial not in afters.values()]
        if pairs and len(self.seen) < KEPT:
            self.seen.append(Replacement(place, pairs))


def _leaves(trace: Trace, value: Part) -> dict[str, int]:
    named = list(value.named_parameters()) if isinstance(value, torch.nn.Module) else [("", value)]
    return {name: leaf.serial for name, parameter in named if (leaf := trace.leaf(parameter)) is not None}
