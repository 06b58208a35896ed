"""What the recorder writes down while a program runs: small mutable records, kept alive only by what can still reach a loss.

A `Step` refers to the steps whose values it took, so the chain behind a tensor lives exactly as long as the tensor (or a loss that was
made from it) does: a prelude of a million operations that nothing live comes from costs nothing. No tensor is held here.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType

from gradflow.graph.flow import CutReason, NodeKind


class Place:
    """A position in running code: resolved to a `Site` (file, line, columns, source) only when somebody asks."""

    __slots__ = ("code", "instruction")

    def __init__(self, code: CodeType, instruction: int) -> None:
        self.code = code
        self.instruction = instruction


class Region:
    """A stretch of the run in which gradients were switched off. `decorated` is the function that a decorator wraps, if one did it;
    `outer` the outermost region around it, if there is one."""

    __slots__ = ("decorated", "label", "module", "outer", "place", "reason")

    def __init__(self, reason: CutReason, label: str, place: Place | None, decorated: CodeType | None = None, module: int = 0) -> None:
        self.reason = reason
        self.label = label
        self.place = place
        self.decorated = decorated
        self.module = module
        self.outer: Region | None = None


LIVE = 0
INERT = 1
CUT = 2
REGION = 3


class Step:
    """One recorded node. `sources` are the steps it took values from, `marks[i]` says LIVE, INERT, CUT or REGION for each.

    `reason`: what a CUT mark means; a REGION mark means that the operation is harmless, but ran in the `region`.
    `first`/`last` bracket the autograd nodes that the call made, by sequence number; `module` is the serial of the running module and
    `leaf` the serial of the leaf it stands for (0: none); `hosts`: steps in the same function whose values left torch before this call,
    candidates for a way back through Python arithmetic; `hosted`: how many such round trips may lie behind its value;
    `takes_number`: a computed number went into the call, so that what it gives is a tensor made of it.
    """

    __slots__ = (
        "first",
        "hosted",
        "hosts",
        "kind",
        "last",
        "leaf",
        "marks",
        "module",
        "name",
        "pass_number",
        "place",
        "reason",
        "region",
        "serial",
        "sources",
        "takes_number",
    )

    def __init__(
        self,
        serial: int,
        name: str,
        place: Place | None,
        sources: tuple[Step, ...] = (),
        marks: bytes = b"",
        *,
        kind: NodeKind = NodeKind.OPERATION,
        reason: CutReason | None = None,
        region: Region | None = None,
        module: int = 0,
        leaf: int = 0,
        pass_number: int = 0,
    ) -> None:
        self.serial = serial
        self.name = name
        self.place = place
        self.sources = sources
        self.marks = marks
        self.kind = kind
        self.reason = reason
        self.region = region
        self.module = module
        self.leaf = leaf
        self.pass_number = pass_number
        self.first = -1
        self.last = -1
        self.hosts: tuple[Step, ...] = ()
        self.hosted = 0
        self.takes_number = False


ROUND_TRIPS = 64
"""A value is followed through at most so many round trips through Python: an environment's loop would otherwise keep its whole past."""


def steps_above(starts: Iterable[Step]) -> list[Step]:
    """Every step that had a part in the values of `starts`, themselves included, in capture order."""
    seen: dict[int, Step] = {}
    stack = list(starts)
    while stack:
        step = stack.pop()
        if step.serial not in seen:
            seen[step.serial] = step
            stack.extend(step.sources)
            stack.extend(step.hosts)
    return [seen[serial] for serial in sorted(seen)]


def leaves_above(starts: Iterable[Step]) -> set[int]:
    """The serials of the leaves that had a part in the values of `starts`."""
    return {step.leaf for step in steps_above(starts) if step.leaf}
