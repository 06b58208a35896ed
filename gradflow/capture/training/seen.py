"""What one run gave, handed from the session to whoever turns it into facts."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradflow.capture.facts.inventory import Member, Root
from gradflow.capture.flow.values import Trace
from gradflow.capture.training.optimizers import Optimizers
from gradflow.capture.training.passes import Passes
from gradflow.capture.training.registry import Registry
from gradflow.capture.training.statistics import Statistics


@dataclass(slots=True)
class Seen:
    """What one run gave: its values, modules, passes and optimizers; the root modules; names of leaves in no module, by serial.

    `zero_shares`: by leaf (serial), the share of zeros in what its module gave, of those that were asked for.

    `members`: the parameters by name, in the order of the facts, once the recording is built.
    """

    trace: Trace
    registry: Registry
    passes: Passes
    optimizers: Optimizers
    roots: list[Root]
    names: dict[int, str]
    traced: bool
    statistics: Statistics = field(default_factory=Statistics)
    zero_shares: dict[int, float] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
