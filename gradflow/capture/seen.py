"""What one run gave, handed from the session to whoever turns it into facts."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradflow.capture.inventory import Member, Root
from gradflow.capture.optimizers import Optimizers
from gradflow.capture.passes import Passes
from gradflow.capture.registry import Registry
from gradflow.capture.statistics import Statistics
from gradflow.capture.values import Trace


@dataclass(slots=True)
class Seen:
    """What one run gave: its values, modules, passes and optimizers; the root modules; names of leaves in no module, by serial.

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
    members: list[Member] = field(default_factory=list)
