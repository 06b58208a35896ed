"""What a value depends on, through containers, objects and closures, and what iterating over it yields."""

from __future__ import annotations

import ast
from typing import Any

from gradflow.static.machine import Above, Bound, Machine, Thing
from gradflow.static.values import (
    NOTHING,
    Choice,
    Const,
    Container,
    Each,
    Items,
    Layers,
    Leaf,
    MethodOf,
    Partial,
    Qualified,
    Region,
    Stateless,
    Unit,
    Value,
    Wrapped,
    blend,
    join,
    join_all,
    members_of,
)

PAIR = ("values", "indices")
"""The fields of what `topk`, `sort` and `max(dim)` return, which can be had by place too."""
DEEPEST_FLOW = 6
_OBJECTS = (Thing, Bound, Above)
LONGEST_LIST = 24


_CLOSED = frozenset({Const, Qualified, Unit, Leaf, Stateless, Region})
"""Kinds of values that hold no others."""


class Flows(Machine):
    """Looks into values; evaluates nothing."""

    loops = 0
    """How many loops of the source run round this statement."""

    def flow(self, value: Value, depth: int = 0) -> Value:
        """All that `value` depends on, through containers, objects and closures, with nothing else known."""
        what = value.what
        if what is None:
            return value
        if what.__class__ in _CLOSED:
            return value.plain()
        if depth > DEEPEST_FLOW:
            return Value((1 << len(self.units)) - 1)
        if isinstance(what, _OBJECTS):
            thing = what if isinstance(what, Thing) else what.thing
            return value.plain() if thing is None else blend([value, self._flow_of_thing(thing, depth)])
        return blend([value, *[entry if entry.what is None else self.flow(entry, depth + 1) for entry in self._inside(what)]])

    def _flow_of_thing(self, thing: Thing, depth: int) -> Value:
        """What all attributes of an object depend on; worked out once for each state of the heap."""
        key = (thing.key, depth, len(self.units))
        known = self.heap.flows.get(key)
        if known is None:
            values = [value for key, value in self.heap.items() if key[0] == thing.key]
            known = self.heap.flows[key] = blend([self.flow(value, depth + 1) for value in values])
        return known

    def _inside(self, what: Any) -> tuple[Value, ...]:
        kind = what.__class__
        if kind is Container:
            return (self.heap.get(what.key, NOTHING),)
        if kind is Items or kind is Layers or kind is Choice:
            return what.members  # type: ignore[no-any-return]
        if kind is Each:
            return (what.member,)
        if kind is MethodOf:
            return (what.value,)
        if kind is Partial:
            return (what.inner, *what.positional)
        return (what.inner,) if kind is Wrapped else ()

    def element(self, value: Value) -> Value:
        """What iterating over `value` yields."""
        what = value.what
        if what is None:
            return value
        if isinstance(what, Container):
            return self.element(self.heap.get(what.key, NOTHING))
        if isinstance(what, Items):
            return join_all(what.members) if what.keys is None or what.keys == PAIR else NOTHING
        if isinstance(what, Each):
            return what.member
        if isinstance(what, Layers):
            return join_all(what.members)
        if isinstance(what, Choice):
            return join_all(self.element(entry) for entry in what.members)
        return self.flow(value)

    def parts(self, value: Value) -> tuple[Value, ...]:
        """The members of a container or tuple, none where it is empty; else what iterating yields."""
        content = self.heap.get(value.what.key, NOTHING) if isinstance(value.what, Container) else value
        return members_of(content.what) if isinstance(content.what, (Items, Each)) else (self.element(value),)

    def together(self, one: Value, other: Value) -> Items | Each:
        """The content of one after the other."""
        contents = [self.heap.get(value.what.key, NOTHING) if isinstance(value.what, Container) else value for value in (one, other)]
        known = [content.what for content in contents if isinstance(content.what, Items) and content.what.keys is None]
        if len(known) == 2 and not self.loops and len(known[0].members) + len(known[1].members) <= LONGEST_LIST:
            return Items(known[0].members + known[1].members)
        members = [*self.parts(one), *self.parts(other)]
        return Each(join_all(members)) if members else Items(())

    def new_container(self, node: ast.AST, content: Any, *, registered: bool = False) -> Value:
        """A container made at `node`; made again in a loop, it is the same one, with both contents."""
        key = ("container", *self.frame.stack, id(node))
        value = Value(0, (), content)
        known = self.heap.get(key)
        self.heap[key] = value if known is None else join(known, value)
        return Value(0, (), Container(key, registered))

    def member(self, base: Value, key: Any) -> Value | None:
        """The member of `base` under a constant key, where it is known."""
        what = base.what
        if isinstance(what, Container):
            return self.member(self.heap.get(what.key, NOTHING), key)
        if isinstance(what, Items) and what.keys is not None and key in what.keys:
            return _at(what.members, what.keys.index(key))
        if (
            isinstance(what, (Items, Layers))
            and isinstance(key, int)
            and not isinstance(key, bool)
            and -len(what.members) <= key < len(what.members)
        ):
            return _at(what.members, key)
        return None


def _at(members: tuple[Value, ...], place: int) -> Value:
    return members[place]
