"""Abstract values: which parameters a value depends on, on ways that gradients can go back, and on ways that are cut.

Parameters are bits of whole numbers, so that joining two values is one `|`. All of it is immutable.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

Chain = tuple[int, ...]
"""The cuts on one way, by number, the one nearest the parameter first."""

LONGEST_CHAIN = 3
MOST_CHAINS = 6


class Value(NamedTuple):
    """What one expression may be.

    `live`: the parameters that a gradient may come back to. `cuts`: for each chain of cuts, the parameters behind it. `what`: what else is
    known of the value: a constant, a module, a function, a container ... (see below); None where it is a tensor or not known.
    """

    live: int = 0
    cuts: tuple[tuple[Chain, int], ...] = ()
    what: Any = None

    @property
    def cut(self) -> int:
        """The parameters that some cut way leads to."""
        mask = 0
        for _, members in self.cuts:
            mask |= members
        return mask

    @property
    def every(self) -> int:
        """All parameters that have a part in the value."""
        return self.live | self.cut

    def plain(self) -> Value:
        """The same flow, with nothing else known."""
        if self.what is None:
            return self
        return Value(self.live, self.cuts) if self.live or self.cuts else NOTHING


NOTHING = Value()


class Const(NamedTuple):
    """A constant of the source: True, a number, a string, None."""

    value: Any


@lru_cache(maxsize=4096, typed=True)
def constant_of(value: Any) -> Value:
    """The value of a constant of the source."""
    return Value(0, (), Const(value))


class Qualified(NamedTuple):
    """Something imported from outside of the package, by its full dotted name."""

    name: str


@lru_cache(maxsize=4096)
def outside(name: str) -> Value:
    """Something from outside of the package, by its full dotted name."""
    return Value(0, (), Qualified(name))


class Items(NamedTuple):
    """The content of a tuple, list or dict whose members are known one by one; `keys` are those of a dict."""

    members: tuple[Value, ...]
    keys: tuple[Any, ...] | None = None


class Each(NamedTuple):
    """The content of something that can be iterated: every member may be `member`."""

    member: Value


class Container(NamedTuple):
    """A list, dict or set: its content stands in the heap under `key`, so that two names of it see the same. `registered`: a ModuleList."""

    key: Any
    registered: bool = False


class Unit(NamedTuple):
    """A module that is not looked into, or a parameter: `number` is its bit."""

    number: int
    is_parameter: bool = False


class Leaf(NamedTuple):
    """A parameter itself, or its memory (`.data`), and no result of an operation."""


class Stateless(NamedTuple):
    """A module of torch without parameters, by name."""

    name: str


class MethodOf(NamedTuple):
    """`value.name`, not called yet."""

    value: Value
    name: str


class Partial(NamedTuple):
    """A function with its first arguments given."""

    inner: Value
    positional: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]


class Layers(NamedTuple):
    """A Sequential of members that are known one by one."""

    members: tuple[Value, ...]


class Region(NamedTuple):
    """A context that sets the mode of gradients: on (-1), off through the cut `mode` (0 or more), as unknown (-2)."""

    mode: int


class Wrapped(NamedTuple):
    """`torch.no_grad()(function)`: the function, called in that mode."""

    mode: int
    inner: Value


class Choice(NamedTuple):
    """One of several, not known which: functions, modules or contexts."""

    members: tuple[Value, ...]


class Enabled(NamedTuple):
    """What `torch.is_grad_enabled()` returned: the mode that was on."""

    mode: int


ON = -1
UNKNOWN_MODE = -2
KEEP = -3
"""The mode of `contextlib.nullcontext()`: as outside."""


def join(one: Value, other: Value) -> Value:
    """What a value may be that is either."""
    if one is other or one == other:
        return one
    return Value(one.live | other.live, _join_cuts(one.cuts, other.cuts), _join_what(one, other))


def join_all(values: Iterable[Value]) -> Value:
    """What a value may be that is any of `values`."""
    joined: Value | None = None
    for value in values:
        joined = value if joined is None else join(joined, value)
    return joined if joined is not None else NOTHING


def blend(values: Iterable[Value]) -> Value:
    """What an operation that takes all of `values` depends on."""
    live = 0
    cuts: tuple[tuple[Chain, int], ...] = ()
    for value in values:
        live |= value.live
        if value.cuts:
            cuts = _join_cuts(cuts, value.cuts) if cuts else value.cuts
    return Value(live, cuts) if live or cuts else NOTHING


def cut_by(value: Value, number: int) -> Value:
    """`value` behind the cut `number`: nothing of it is live any more."""
    if not value.live and not value.cuts:
        return NOTHING
    chains: dict[Chain, int] = {}
    if value.live:
        chains[(number,)] = value.live
    for chain, mask in value.cuts:
        longer = chain if number in chain or len(chain) >= LONGEST_CHAIN else (*chain, number)
        chains[longer] = chains.get(longer, 0) | mask
    return Value(0, _sorted(chains))


def without(value: Value, mask: int) -> Value:
    """`value` without the parameters of `mask`."""
    if not value.every & mask:
        return value
    cuts = tuple((chain, left) for chain, members in value.cuts if (left := members & ~mask))
    return Value(value.live & ~mask, cuts, value.what)


def _join_cuts(one: tuple[tuple[Chain, int], ...], other: tuple[tuple[Chain, int], ...]) -> tuple[tuple[Chain, int], ...]:
    if not one or one == other:
        return other
    if not other:
        return one
    chains = dict(one)
    for chain, mask in other:
        chains[chain] = chains.get(chain, 0) | mask
    return _sorted(chains)


def _sorted(chains: dict[Chain, int]) -> tuple[tuple[Chain, int], ...]:
    entries = sorted(chains.items())
    if len(entries) <= MOST_CHAINS:
        return tuple(entries)
    # Too many ways to tell apart: the rest is laid to the last one kept, so that no parameter is lost.
    kept = entries[:MOST_CHAINS]
    rest = 0
    for _, mask in entries[MOST_CHAINS:]:
        rest |= mask
    kept[-1] = (kept[-1][0], kept[-1][1] | rest)
    return tuple(kept)


def _join_what(one: Value, other: Value) -> Any:
    if one.what == other.what:
        return one.what
    if isinstance(one.what, (Items, Each)) and isinstance(other.what, (Items, Each)):
        return _join_content(one.what, other.what)
    return _choice(one, other)


def members_of(content: Any) -> tuple[Value, ...]:
    """The members of Items or Each; nothing of anything else."""
    if isinstance(content, Items):
        return content.members
    return (content.member,) if isinstance(content, Each) else ()


def _join_content(one: Any, other: Any) -> Any:
    if isinstance(one, Items) and isinstance(other, Items) and len(one.members) == len(other.members) and one.keys == other.keys:
        return Items(tuple(join(a, b) for a, b in zip(one.members, other.members, strict=True)), one.keys)
    members = [*members_of(one), *members_of(other)]
    return Each(join_all(members)) if members else one


def _choice(one: Value, other: Value) -> Any:
    members: list[Value] = []
    for value in (one, other):
        for entry in value.what.members if isinstance(value.what, Choice) else (value,):
            if entry not in members:
                members.append(entry)
    # A tensor among them, or too many to try each: nothing is known.
    if len(members) > 6 or any(entry.what is None for entry in members):
        return None
    return Choice(tuple(members))
