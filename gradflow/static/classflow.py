"""What becomes of the parameters of one class: the model that `__init__` builds, and whether its methods let them through."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gradflow.static.bystanders import stands_by
from gradflow.static.classes import Lineage
from gradflow.static.interpreter import Interpreter
from gradflow.static.machine import Bound, CutSite, Frame, GivenUp, Heap, Thing, UnitSite
from gradflow.static.methods import Arguments
from gradflow.static.names import Class, Module
from gradflow.static.relevance import PRIMARY, Relevance
from gradflow.static.torch_names import FROZEN_NAMES, INFERENCE_METHODS, LAYERS
from gradflow.static.values import Chain, Choice, Container, Each, Items, Layers, Unit, Value

ROOT = "self"
GIVES_FIRST_VALUES = frozenset(
    {"reset_parameters", "init_weights", "_init_weights", "_reset_parameters", "initialize_weights", "init_parameters"}
)
MOVES_WEIGHTS = ("save_", "_save_", "load_", "_load_", "from_pretrained", "_from_", "push_to_", "resize_")
"""Beginnings of the names of methods that store weights, fetch them, or make room for more: none of these trains."""
MOST_FLAGS = 3
"""So many flags of one class are looked at."""


@dataclass(eq=False, slots=True)
class Severed:
    """Parameters of one class that come out of a method only behind cuts: their paths, the cuts on the way, where they are returned.

    `inside`: those that are used in the region that cuts; what comes before it dies with them. `fed`: what was cut goes on into a layer,
    or into an operation with what is live; `whole`: a module of several layers is used in the region, and nothing
    that comes before it dies.
    """

    paths: list[str]
    chain: Chain
    method: str
    returned: list[ast.AST]
    module: Module
    inside: list[str] = field(default_factory=list)
    fed: bool = False
    whole: bool = False


@dataclass(eq=False, slots=True)
class ClassFlow:
    """All that was found out about a class.

    `beside`: some parameter is, or may be, cut on one way and not on another; `condition`: what was taken for granted, empty: nothing;
    `conditional`: what comes out where flags have one value or another.
    """

    owner: Class
    lineage: Lineage
    units: list[UnitSite]
    cuts: list[CutSite]
    severed: list[Severed] = field(default_factory=list)
    hidden: list[UnitSite] = field(default_factory=list)
    built: list[tuple[ast.Call, Module, str, bool]] = field(default_factory=list)
    live: list[str] = field(default_factory=list)
    strangers: bool = False
    beside: bool = False
    condition: str = ""
    conditional: list[ClassFlow] = field(default_factory=list)


def follow_class(relevance: Relevance, owner: Class) -> ClassFlow | None:
    """What becomes of the parameters of `owner`, None where it is too tangled to be followed."""
    machine = Interpreter(relevance)
    runs: list[Interpreter] = []
    try:
        thing = _build(machine, owner)
        runs.append(machine.fork())
        flow = _run(runs[0], thing)
        if not flow.severed and flow.beside:
            flow.conditional = list(_under_flags(machine, runs, thing))
        return flow
    except (GivenUp, RecursionError):
        relevance.given_up.append(owner.name)
        return None
    finally:
        for run in (machine, *runs):
            run.end()


def _under_flags(machine: Interpreter, runs: list[Interpreter], thing: Thing) -> Iterator[ClassFlow]:
    """What else is severed where a flag, of which the source does not say the value, has one or the other."""
    for flag, values in list(runs[0].flags.items())[:MOST_FLAGS]:
        for value in values:
            runs.append(machine.fork())
            runs[-1].assumed = {flag: value}
            flow = _run(runs[-1], thing)
            if flow.severed:
                said = f"is {str(value).lower()}" if isinstance(value, bool) else f"is {value!r}"
                flow.condition = f"`{flag.removeprefix('self.')}` {said}"
                yield flow


def _build(machine: Interpreter, owner: Class) -> Thing:
    """An object of the class, with the attributes that `__init__` makes."""
    thing = Thing(owner, ROOT)
    machine.frames.append(Frame(None, owner.module, "<module>", None, None, None, ()))
    machine.building = True
    init = machine.hierarchy.lineage(owner).method("__init__")
    if init is not None:
        bound = Bound(init[1], init[0].module, thing, None, init[0])
        machine.invoke(bound, Arguments(spread=True), None)
    machine.building = False
    machine.frames.pop()
    for key, value in list(machine.heap.items()):
        if key[0] == ROOT:
            _name_units(machine, value, str(key[1]), hidden=False, depth=0)
    _forget_changing_constants(machine, owner)
    return thing


def _run(machine: Interpreter, thing: Thing) -> ClassFlow:
    """What the methods of the object let through."""
    lineage = machine.hierarchy.lineage(thing.owner)
    result = ClassFlow(thing.owner, lineage, machine.units, machine.cuts, strangers=bool(lineage.strangers))
    added = {number for number in range(len(machine.units)) if machine.added >> number & 1}
    hidden = [unit for number, unit in enumerate(machine.units) if unit.hidden and number not in added]
    result.hidden = [unit for unit in hidden if unit.known and not unit.registered]
    _run_methods(machine, thing, result)
    return result


def _forget_changing_constants(machine: Interpreter, owner: Class) -> None:
    """A flag that is set in more than one place has no value that the source shows."""
    sources = {entry.module.source.path: entry.module.source for entry in machine.hierarchy.lineage(owner).classes}
    for key, value in list(machine.heap.items()):
        constant = value.what.__class__.__name__ == "Const" and isinstance(key[1], str)
        if constant and sum(source.assigned(f".{key[1]}") for source in sources.values()) != 1:
            machine.heap[key] = Value()


def _run_methods(machine: Interpreter, thing: Thing, result: ClassFlow) -> None:
    machine.heap = first = machine.heap.settled()
    everything: dict[str, Frame] = {}
    live = 0
    for name in PRIMARY:
        machine.heap = first.copy()
        frame = machine.start(thing, name)
        if frame is not None:
            everything[name] = frame
            live |= _live_at_end(machine, frame, first)
    result.built = list(machine.built)
    trained = [unit.known and bool(unit.path) and not _says_frozen(unit.path) for unit in machine.units]
    cut = 0
    for frame in everything.values():
        for value, state, _ in frame.returns:
            machine.heap = state.heap
            cut |= machine.flow(value).cut
    meant = machine.unclear | machine.frozen | machine.written
    result.beside = bool((cut | machine.doubtful) & live & _mask(trained) & ~meant)
    candidates = cut & ~live & _mask(trained) & ~meant & ~machine.escaped
    if candidates:
        candidates &= ~_live_elsewhere(machine, thing, first, candidates)
        candidates &= ~machine.frozen & ~machine.written & ~machine.unclear & ~machine.escaped
    if candidates:
        result.severed = _severed(machine, everything, candidates)
    result.live = [unit.path for number, unit in enumerate(machine.units) if unit.known and unit.path and live >> number & 1]


def _mask(flags: list[bool]) -> int:
    return sum(1 << number for number, flag in enumerate(flags) if flag)


def _says_frozen(path: str) -> bool:
    words = set(re.split(r"[._\d]+", path.lower()))
    return any(word in words for word in FROZEN_NAMES)


def _live_at_end(machine: Interpreter, frame: Frame, first: Heap) -> int:
    """The parameters that come back alive: returned, or left on the object."""
    live = machine.escaped
    for value, state, _ in frame.returns:
        machine.heap = state.heap
        live |= machine.flow(value).live
        for key, left in state.heap.over.items():
            if key[0] != "container":
                live |= 0 if _is_model_part(left) else machine.flow(left).live
    return live


def _is_model_part(value: Value) -> bool:
    return isinstance(value.what, (Unit, Layers, Thing))


def _live_elsewhere(machine: Interpreter, thing: Thing, first: Heap, candidates: int) -> int:
    """What of the candidates the methods that `forward` does not call let through, and what they freeze or write."""
    machine.heap = first
    own = {str(key[1]): machine.flow(value).every & candidates for key, value in first.items() if key[0] == ROOT}
    bearing, others = {name for name, mask in own.items() if mask}, {name for name, mask in own.items() if not mask}
    lineage = machine.hierarchy.lineage(thing.owner)
    live = 0
    for entry, name in _other_methods(machine, lineage):
        if not candidates & ~(live | machine.frozen | machine.written | machine.unclear | machine.escaped):
            break
        if id(entry.methods[name]) in machine.ran or stands_by(machine.relevance, lineage, name, bearing, others):
            continue
        if name.startswith("_") and not name.startswith("__") and _only_named_in_run(machine, entry, name):
            continue
        machine.heap = first.copy()
        machine.mode = -1
        frame = machine.start(thing, name)
        if frame is not None and not name.startswith(INFERENCE_METHODS):
            live |= _live_at_end(machine, frame, first)
    return live


def _other_methods(machine: Interpreter, lineage: Lineage) -> Iterator[tuple[Class, str]]:
    """The methods that were not followed yet, nearest first, but for those that only make or move weights."""
    seen: set[str] = set()
    for entry in lineage.classes:
        for name, node in entry.methods.items():
            if name in seen or id(node) in machine.ran or name in ("__init__", "__new__"):
                continue
            seen.add(name)
            if name not in GIVES_FIRST_VALUES and not name.startswith(MOVES_WEIGHTS):
                yield entry, name


def _only_named_in_run(machine: Interpreter, owner: Class, name: str) -> bool:
    """Whether nothing but the methods that were followed names a private method: then it runs where they say, or never."""
    word = re.compile(rf"\.{re.escape(name)}\b")
    source = owner.module.source
    inside = sum(len(word.findall(source.segment(node))) for node in owner.methods.values() if id(node) in machine.ran)
    return 0 < inside == len(word.findall(source.text))


def _severed(machine: Interpreter, frames: dict[str, Frame], candidates: int) -> list[Severed]:
    found: list[Severed] = []
    said = 0
    for name, frame in frames.items():
        groups: dict[Chain, tuple[int, list[ast.AST]]] = {}
        for value, state, node in frame.returns:
            machine.heap = state.heap
            for chain, mask in machine.flow(value).cuts:
                if mask & candidates & ~said:
                    old, nodes = groups.get(chain, (0, []))
                    groups[chain] = (old | mask & candidates & ~said, [*nodes, node])
        for chain, (mask, nodes) in groups.items():
            mask &= ~said
            paths = [unit.path for number, unit in enumerate(machine.units) if mask >> number & 1]
            said |= mask
            within = mask & machine.inside.get(chain[-1], 0)
            inside = [unit.path for number, unit in enumerate(machine.units) if within >> number & 1]
            if paths:
                fed = chain[-1] in machine.fed
                found.append(Severed(paths, chain, name, nodes, frame.module, inside, fed, _is_whole_module(machine, mask, within)))
    return found


def _is_whole_module(machine: Interpreter, severed: int, within: int) -> bool:
    """Whether a module of the package is among what a region holds, and nothing before the region is cut off by it."""
    if severed != within:
        return False
    units = [unit for number, unit in enumerate(machine.units) if within >> number & 1]
    parts = {key[1] for key, value in machine.heap.items() if key[0] == ROOT and isinstance(value.what, Thing)}
    return any((unit.what not in LAYERS and unit.what != "Parameter") or unit.path.split(".")[0] in parts for unit in units)


def _name_units(machine: Interpreter, value: Value, path: str, *, hidden: bool, depth: int) -> None:
    """Gives every part that `value` holds its path, and says whether only plain containers hold it."""
    what = value.what
    if depth > 8:
        return
    if isinstance(what, Unit):
        unit = machine.units[what.number]
        if not unit.path or (unit.hidden and not hidden):
            unit.path = path
        unit.hidden = unit.hidden or hidden
        unit.registered = unit.registered or not hidden
    elif isinstance(what, Container):
        inside = hidden or not what.registered
        content = machine.heap.get(what.key, Value()).what
        _name_members(machine, content, path, hidden=inside, depth=depth)
    elif isinstance(what, (Items, Each)):
        _name_members(machine, what, path, hidden=True, depth=depth)
    elif isinstance(what, Choice):
        for member in what.members:
            _name_units(machine, member, path, hidden=hidden, depth=depth + 1)
    elif isinstance(what, Layers):
        for number, member in enumerate(what.members):
            _name_units(machine, member, f"{path}.{number}", hidden=hidden, depth=depth + 1)
    elif isinstance(what, Thing):
        for key, member in list(machine.heap.items()):
            if key[0] == what.key:
                _name_units(machine, member, f"{path}.{key[1]}", hidden=hidden, depth=depth + 1)
    else:
        for number, unit in enumerate(machine.units):
            if value.every >> number & 1 and not unit.path:
                unit.path = path
                unit.registered = unit.registered or not hidden
                # One of several, or changed on the way: what is trained under that name is not known.
                unit.known = False


def _name_members(machine: Interpreter, content: object, path: str, *, hidden: bool, depth: int) -> None:
    if isinstance(content, Items):
        for number, member in enumerate(content.members):
            key = content.keys[number] if content.keys is not None else number
            _name_units(machine, member, f"{path}.{key}", hidden=hidden, depth=depth + 1)
    elif isinstance(content, Each):
        _name_units(machine, content.member, f"{path}.*", hidden=hidden, depth=depth + 1)
