"""The state of the abstract interpreter: frames, heap, the mode of gradients, the cuts and parameters that were met."""

from __future__ import annotations

import ast
from copy import copy
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from gradflow.graph.flow import CutReason
from gradflow.static.names import Class, Module
from gradflow.static.relevance import Relevance
from gradflow.static.spelling import label_of
from gradflow.static.values import NOTHING, ON, UNKNOWN_MODE, Const, Value, cut_by, join

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

MOST_WORK = 20_000
"""Expressions looked at for one class; beyond that it is given up, and nothing is said of it."""
OFTEN = 256
"""After so many expressions the clock is read."""


_WHOLE = (CutReason.NO_DERIVATIVE, CutReason.INTEGER_CAST)
_OUTSIDE = (CutReason.NUMPY, CutReason.HOST_SCALAR)
STAYS_CUT = {
    CutReason.NUMPY: _OUTSIDE,
    CutReason.HOST_SCALAR: _OUTSIDE,
    CutReason.NO_DERIVATIVE: _WHOLE + _OUTSIDE,
    CutReason.INTEGER_CAST: _WHOLE + _OUTSIDE,
}


LONGEST = 5.0
"""Seconds in which the classes of one file are followed; those that come later are given up."""


class GivenUp(Exception):
    """The class is too large or too tangled to follow; nothing is said of it."""


@dataclass(eq=False, slots=True)
class Thing:
    """An instance of a class of the package, with the heap key of its attributes. `path` is its place below the class under analysis."""

    owner: Class
    key: Any
    building: bool = False


class Bound(NamedTuple):
    """A function of the source as a value: with its object, the frame it was defined in, and the class whose body holds it.

    `undecorated`: as its decorators get it.
    """

    node: Any
    module: Module
    thing: Thing | None = None
    closure: Any = None
    owner: Class | None = None
    undecorated: bool = False


class ClassValue(NamedTuple):
    """A class of the package as a value."""

    owner: Class


class Above(NamedTuple):
    """`super()` in a method of `owner`."""

    thing: Thing
    owner: Class


@dataclass(frozen=True, slots=True)
class CutSite:
    """A place that stops gradients."""

    reason: CutReason
    node: ast.AST
    module: Module
    function: str
    label: str
    region: bool = False
    code: str = "GF101"


@dataclass(eq=False, slots=True)
class UnitSite:
    """A module or parameter that `__init__` makes. `known`: it certainly holds parameters. `hidden`: a plain container holds it."""

    node: ast.AST
    module: Module
    function: str
    known: bool
    what: str
    path: str = ""
    hidden: bool = False
    registered: bool = False
    definition: ast.AST | None = None


@dataclass(eq=False, slots=True)
class Frame:
    """One running function."""

    node: Any
    module: Module
    function: str
    thing: Thing | None
    owner: Class | None
    closure: Frame | None
    stack: tuple[int, ...]
    env: dict[str, Value] = field(default_factory=dict)
    returns: list[tuple[Value, State, ast.AST]] = field(default_factory=list)
    breaks: list[State] = field(default_factory=list)
    continues: list[State] = field(default_factory=list)
    yields: list[int] = field(default_factory=list)
    regions: list[int] = field(default_factory=list)
    outer_names: set[str] = field(default_factory=set)


class Heap:
    """Values by place. What stood in it when a phase began is shared by all copies, so that a branch copies only what was written since.

    `flows` may keep what was worked out from the whole content; a write empties it.
    """

    __slots__ = ("base", "flows", "over")

    def __init__(self, base: dict[Any, Value] | None = None, over: dict[Any, Value] | None = None) -> None:
        self.base = base if base is not None else {}
        self.over = over if over is not None else {}
        self.flows: dict[Any, Value] = {}

    def get(self, key: Any, default: Any = None) -> Any:
        """The value at `key`."""
        found = self.over.get(key)
        return found if found is not None else self.base.get(key, default)

    def __contains__(self, key: Any) -> bool:
        return key in self.over or key in self.base

    def __getitem__(self, key: Any) -> Value:
        return self.over[key] if key in self.over else self.base[key]

    def __setitem__(self, key: Any, value: Value) -> None:
        self.over[key] = value
        if self.flows:
            self.flows = {}

    def items(self) -> list[tuple[Any, Value]]:
        """All places with their values."""
        return list({**self.base, **self.over}.items()) if self.over else list(self.base.items())

    def copy(self) -> Heap:
        """A heap of its own, which shares the base."""
        copy = Heap(self.base, dict(self.over))
        copy.flows = self.flows  # a write to either makes a new one
        return copy

    def settled(self) -> Heap:
        """The same content, all of it in the base."""
        return Heap({**self.base, **self.over})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Heap) and self.base is other.base and self.over == other.over

    __hash__ = None  # type: ignore[assignment]


class State(NamedTuple):
    """What a branch may change: the names of the running frame, the heap, and the mode of gradients."""

    env: dict[str, Value]
    heap: Heap
    mode: int

    def copy(self) -> State:
        """A state of its own."""
        return State(dict(self.env), self.heap.copy(), self.mode)


M = TypeVar("M", bound="Machine")


class Machine:
    """All that a run of the interpreter over one class knows."""

    def __init__(self, relevance: Relevance) -> None:
        self.relevance = relevance
        self.hierarchy = hierarchy = relevance.hierarchy
        self.package = hierarchy.package
        self.heap = Heap()
        self.mode = ON
        self.frames: list[Frame] = []
        self.closures: list[Frame] = []
        self.cuts: list[CutSite] = []
        self._cut_numbers: dict[tuple[int, CutReason], int] = {}
        self.units: list[UnitSite] = []
        self._unit_numbers: dict[Any, int] = {}
        self.escaped = 0
        self.frozen = 0
        self.written = self.added = 0
        self.unclear = 0
        self.ran: set[int] = set()
        self.inside: dict[int, int] = {}
        self.fed: set[int] = set()
        self.built: list[tuple[ast.Call, Module, str, bool]] = []
        self.building = False
        self.built_from: dict[object, object] = {}
        self.work = self.next_check = 0
        self.assumed: dict[str, Any] = {}
        self.flags: dict[str, list[Any]] = {}
        self.cuts_met = 0
        self.doubtful = 0

    def end(self) -> None:
        """Takes the circles apart in which frames and the functions that they define hold each other: then memory is free at once."""
        for frame in self.closures:
            frame.env, frame.returns, frame.closure = {}, [], None

    def fork(self: M) -> M:
        """A machine that goes on from here by itself. Modules and cuts keep their numbers in all of them."""
        other = copy(self)
        other.heap, other.work, other.next_check = self.heap.copy(), 0, 0
        other.frames, other.closures, other.built = [], [], list(self.built)
        other.ran, other.fed = set(self.ran), set(self.fed)
        other.inside, other.flags = dict(self.inside), dict(self.flags)
        return other

    @property
    def frame(self) -> Frame:
        """The running function."""
        return self.frames[-1]

    def assume(self, flag: str, value: Value) -> Value:
        """The value that a flag is taken to have, `value` where nothing is assumed of it."""
        return Value(0, (), Const(self.assumed[flag])) if flag in self.assumed and not self.building else value

    def evaluate(self, node: ast.expr) -> Value:
        """What `node` may be."""
        raise NotImplementedError

    def note_flag(self, test: ast.expr) -> None:
        """Notes a flag on which a cut depends, with the values that may make a difference."""
        while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test = test.operand
        values: list[Any] = [True, False]
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq):
            constant = test.comparators[0]
            test, values = (test.left, [constant.value]) if isinstance(constant, ast.Constant) else (test, [])
        own = isinstance(test, ast.Attribute) and isinstance(test.value, ast.Name) and test.value.id == "self" and test.attr != "training"
        # What a function inside gets under a name, or what a layer computed, is no flag of the class.
        if (own or (isinstance(test, ast.Name) and len(self.frames) == 2)) and self.evaluate(test) == NOTHING:
            self.flags.setdefault(ast.unparse(test), values)

    def snapshot(self) -> State:
        """The state now; the copies are the caller's own."""
        return State(dict(self.frame.env), self.heap.copy(), self.mode)

    def taken(self) -> State:
        """The state now, for who goes on from another one: nothing is copied."""
        return State(self.frame.env, self.heap, self.mode)

    def leaving(self, outermost: int = 0) -> State:
        """The state as a jump out of the `with` blocks of the frame finds it, all but the first `outermost` of them."""
        regions = self.frame.regions
        state = self.snapshot()
        return state._replace(mode=regions[outermost]) if len(regions) > outermost else state

    def restore(self, state: State) -> None:
        """Goes on from `state`, which is given up to the machine."""
        self.frame.env, self.heap, self.mode = state

    def check_work(self) -> None:
        """Raises GivenUp beyond MOST_WORK, or when the time for the file is over. Says when it has to be asked again."""
        if self.work > MOST_WORK:
            raise GivenUp
        self.next_check = min(self.work + OFTEN, MOST_WORK + 1)
        if monotonic() > self.relevance.deadline:
            self.relevance.hurried = True
            raise GivenUp

    def cut_number(self, reason: CutReason, node: ast.AST, label: str = "", *, region: bool = False, code: str = "GF101") -> int:
        """The number of the cut at `node`; its label is what is written there, unless one is given."""
        key = (id(node), reason)
        self.cuts_met += 1
        if key not in self._cut_numbers:
            self._cut_numbers[key] = len(self.cuts)
            label = label or label_of(node)
            self.cuts.append(CutSite(reason, node, self.frame.module, self.frame.function, label, region, code))
        return self._cut_numbers[key]

    def unit(self, node: ast.AST, *, known: bool, what: str) -> int:
        """The bit of the module or parameter that `node` makes here."""
        key = (*self.frame.stack, id(node))
        if key not in self._unit_numbers:
            self._unit_numbers[key] = len(self.units)
            self.units.append(UnitSite(node, self.frame.module, self.frame.function, known, what))
        return self._unit_numbers[key]

    def computed(self, value: Value) -> Value:
        """`value` as the result of an operation of torch, in the mode of gradients that is on."""
        if value.what is not None:
            value = value.plain()
        if value.live:
            self.note_met(value)
        return cut_by(value, self.mode) if self.mode >= 0 else value

    def maybe_computed(self, value: Value) -> Value:
        """The same, where the operation may hand out what it was given."""
        if value.live:
            self.note_met(value)
        return value if self.mode < 0 or not value.every else join(value.plain(), cut_by(value, self.mode))

    def note_met(self, value: Value) -> None:
        """Notes the cuts behind which something takes part in an operation with what is live, and what a region may cut or not."""
        if self.mode == UNKNOWN_MODE:
            self.doubtful |= value.live
        if value.cuts and value.live:
            self.fed.update(chain[-1] for chain, _ in value.cuts)

    def cut(self, value: Value, reason: CutReason, node: ast.AST) -> Value:
        """`value` behind a cut at `node`. What has left torch already, or is whole numbers, is not cut once more by staying so."""
        if not value.every:
            return NOTHING
        before = STAYS_CUT.get(reason, ())
        kept = tuple((chain, mask) for chain, mask in value.cuts if self.cuts[chain[-1]].reason in before)
        rest = Value(value.live, tuple(entry for entry in value.cuts if entry not in kept)) if kept else value
        cut = cut_by(rest, self.cut_number(reason, node)) if rest.every else NOTHING
        return join(Value(0, kept), cut) if kept else cut


def merge(one: State | None, other: State | None) -> State | None:
    """The state after two ways meet; None stands for a way that does not get here."""
    if one is None:
        return other
    if other is None:
        return one
    mode = one.mode if one.mode == other.mode else UNKNOWN_MODE
    return State(_merge(one.env, other.env), _merge_heaps(one.heap, other.heap), mode)


def merge_all(states: list[State]) -> State | None:
    """The state after all of these ways meet."""
    merged: State | None = None
    for state in states:
        merged = merge(merged, state)
    return merged


def _merge(one: dict[Any, Value], other: dict[Any, Value]) -> dict[Any, Value]:
    if one == other:
        return one
    merged = dict(one)
    for name, value in other.items():
        mine = merged.get(name)
        if mine is None:
            merged[name] = value
        elif mine is not value:
            merged[name] = join(mine, value)
    return merged


def _merge_heaps(one: Heap, other: Heap) -> Heap:
    """Both over the same base: what only one way has written is joined with what stood there before."""
    if one.over == other.over:
        return one
    over = dict(one.over)
    for key, value in other.over.items():
        mine = over.get(key)
        if mine is None:
            mine = one.base.get(key)
        over[key] = value if mine is None or mine is value else join(mine, value)
    for key in one.over.keys() - other.over.keys():
        before = other.base.get(key)
        if before is not None:
            over[key] = join(over[key], before)
    return Heap(one.base, over)
