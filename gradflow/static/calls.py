"""Calls: of functions of the source, which are followed, of modules, and of what is not known, which passes everything through."""

from __future__ import annotations

import ast
import re

from gradflow.graph.flow import CutReason
from gradflow.static.functions import Functions
from gradflow.static.machine import Above, Bound, ClassValue, Frame, Thing, merge_all
from gradflow.static.methods import Arguments
from gradflow.static.names import Class, Module
from gradflow.static.spelling import last_name
from gradflow.static.torch_names import HARMLESS_CALLS, MAY_RETURN_ITS_INPUT
from gradflow.static.values import (
    KEEP,
    NOTHING,
    ON,
    Choice,
    Const,
    Container,
    Each,
    Items,
    Layers,
    MethodOf,
    Partial,
    Qualified,
    Region,
    Stateless,
    Unit,
    Value,
    Wrapped,
    blend,
    cut_by,
    join,
    join_all,
    members_of,
)

DEEPEST_CALL = 10
_CALLABLE = frozenset({Bound, Partial, Wrapped})


class Calls(Functions):
    """Evaluates calls."""

    def evaluate_call(self, node: ast.Call) -> Value:
        """What the call evaluates to."""
        function = node.func
        if isinstance(function, ast.Name) and function.id == "super":
            return self._super()
        if isinstance(function, ast.Attribute):
            base = self.evaluate(function.value)
            arguments = self._arguments(node)
            self.pending = 0  # what inner calls got comes out of them
            return self._method(base, function.attr, arguments, node)
        callee = self.evaluate(function)
        arguments = self._arguments(node)
        self.pending = 0
        return self.call(callee, arguments, node)

    _Call = evaluate_call

    def _arguments(self, node: ast.Call) -> Arguments:
        positional: list[Value] = []
        keywords: list[tuple[str, Value]] = []
        rest: list[Value] = []
        for entry in node.args:
            if entry.__class__ is not ast.Starred:
                positional.append(self.evaluate(entry))
                continue
            value = self.evaluate(entry.value)
            content = self.heap.get(value.what.key, NOTHING) if isinstance(value.what, Container) else value
            if isinstance(content.what, Items) and content.what.keys is None and not rest:
                positional.extend(content.what.members)
            elif isinstance(value.what, Layers) and not rest:
                positional.extend(value.what.members)
            else:
                rest.append(self.element(value))
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is not None:
                keywords.append((keyword.arg, value))
            else:
                content = self.heap.get(value.what.key, NOTHING) if isinstance(value.what, Container) else value
                if isinstance(content.what, Items) and content.what.keys is not None:
                    keywords.extend((str(key), member) for key, member in zip(content.what.keys, content.what.members, strict=True))
                else:
                    rest.append(join_all(members_of(content.what)) if isinstance(content.what, Each) else self.flow(value))
        return Arguments(tuple(positional), tuple(keywords), join_all(rest) if rest else NOTHING, bool(rest))

    def _super(self) -> Value:
        frame: Frame | None = self.frame
        while frame is not None and (frame.thing is None or frame.owner is None):
            frame = frame.closure
        if frame is None or frame.thing is None or frame.owner is None:
            return NOTHING
        return Value(0, (), Above(frame.thing, frame.owner))

    # Which kind of call it is

    def call(self, callee: Value, arguments: Arguments, node: ast.Call) -> Value:
        """What calling `callee` returns."""
        what = callee.what
        if what is None:
            return self._call_unknown(callee, arguments, node)
        if isinstance(what, Bound):
            return self.invoke(what, arguments, node)
        if isinstance(what, Qualified):
            return self.outside_call(what.name, arguments, node)
        if isinstance(what, ClassValue):
            return self.instantiate(what.owner, arguments, node)
        if isinstance(what, Thing):
            return self._call_thing(what, arguments, node)
        if isinstance(what, Layers):
            return self._call_layers(what, arguments, node)
        if isinstance(what, Stateless):
            given = self.flow_of(arguments)
            return self.maybe_computed(given) if what.name in MAY_RETURN_ITS_INPUT else self.computed(given)
        if isinstance(what, MethodOf):
            return self._method(what.value, what.name, arguments, node)
        if isinstance(what, Partial):
            together = Arguments(
                what.positional + arguments.positional, what.keywords + arguments.keywords, arguments.rest, arguments.spread
            )
            return self.call(what.inner, together, node)
        if isinstance(what, Region):
            first = arguments.get(0) or NOTHING
            return Value(0, (), Wrapped(what.mode, first)) if what.mode != KEEP else first
        if isinstance(what, Wrapped):
            return self._call_wrapped(what, arguments, node)
        if isinstance(what, Choice):
            return self._call_any(what.members, arguments, node)
        return self._call_unknown(callee, arguments, node)

    def _call_unknown(self, callee: Value, arguments: Arguments, node: ast.Call) -> Value:
        given = self.flow_of(arguments)
        own = self.flow(callee)
        if isinstance(callee.what, Unit):
            self.fed.update(chain[-1] for chain, _ in given.cuts)
            if self.mode >= 0:
                self.inside[self.mode] = self.inside.get(self.mode, 0) | own.live
            # A module computes with its parameters; what it was given comes out changed.
            return self.computed(blend([given, own]))
        self.pending |= given.live
        both = blend([given, self.called_back(arguments, node)])
        return blend([self.maybe_computed(both), self.computed(own)])

    def called_back(self, arguments: Arguments, node: ast.Call) -> Value:
        """What functions that are handed to an unknown call may return, called with the other arguments."""
        callables = [value for value in arguments.values if value.what is not None and value.what.__class__ in _CALLABLE]
        if not callables or len(self.frames) > DEEPEST_CALL // 2:
            return NOTHING
        given = blend([self.flow(value) for value in arguments.values if value not in callables])
        return blend([self.flow(self.call(value, Arguments(rest=given, spread=True), node)) for value in callables])

    def _call_any(self, members: tuple[Value, ...], arguments: Arguments, node: ast.Call) -> Value:
        before = self.snapshot()
        values, states = [], []
        for entry in members:
            if isinstance(entry.what, Const):
                continue  # `None` cannot be called
            self.restore(before.copy())
            values.append(self.call(entry, arguments, node))
            states.append(self.snapshot())
        after = merge_all(states)
        self.restore(after if after is not None else before)
        return join_all(values)

    def _call_wrapped(self, what: Wrapped, arguments: Arguments, node: ast.Call) -> Value:
        before, self.mode = self.mode, what.mode
        value = self.call(what.inner, arguments, node)
        self.mode = before
        return value

    def _call_layers(self, what: Layers, arguments: Arguments, node: ast.Call) -> Value:
        for member in what.members:
            arguments = Arguments((self.call(member, arguments, node),))
        return arguments.positional[0] if arguments.positional else NOTHING

    def _call_thing(self, thing: Thing, arguments: Arguments, node: ast.Call) -> Value:
        lineage = self.hierarchy.lineage(thing.owner)
        for name in ("__call__", "forward"):
            found = lineage.method(name)
            if found is not None:
                return self.invoke(Bound(found[1], found[0].module, thing, None, found[0]), arguments, node)
        return self.computed(blend([self.flow_of(arguments), self.flow(Value(0, (), thing))]))

    def _method(self, base: Value, name: str, arguments: Arguments, node: ast.Call) -> Value:
        what = base.what
        target = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if what is None:
            return self.tensor_method(base, name, arguments, node, target)
        if isinstance(what, Thing):
            return self._thing_method(base, what, name, arguments, node)
        if isinstance(what, Qualified):
            return self.outside_call(f"{what.name}.{name}", arguments, node)
        if isinstance(what, Module):
            return self.call(self.resolved(self.package.member(what, name)), arguments, node)
        if isinstance(what, Above):
            return self._method_above(what, base, name, arguments, node)
        if isinstance(what, ClassValue):
            return self._class_method(what.owner, name, arguments, node)
        if isinstance(what, Choice):
            return join_all(self._method(entry, name, arguments, node) for entry in what.members if not isinstance(entry.what, Const))
        if isinstance(what, (Container, Items, Each)):
            member = self.member(base, name)
            if member is not None:
                return self.call(member, arguments, node)
            value = self.container_method(base, name, arguments)
            if value is not None:
                return value
        if isinstance(what, (Unit, Layers, Container)):
            if name in ("forward", "__call__"):
                return self.call(base, arguments, node)
            return self.module_method(base, name, arguments, node, target)
        if isinstance(what, Region) and name == "__enter__":
            self.mode = self.mode_in(what)
            return base
        if isinstance(what, Region) and name == "__exit__":
            self.mode = ON
            return NOTHING
        if isinstance(what, Stateless) and not what.name.startswith("torch."):
            return self.call(base, arguments, node) if name in ("forward", "__call__") else base
        if isinstance(what, (Bound, Wrapped, Partial)) and name in ("__call__", "__func__"):
            return self.call(base, arguments, node)
        return self.tensor_method(base, name, arguments, node, target)

    def _thing_method(self, base: Value, thing: Thing, name: str, arguments: Arguments, node: ast.Call) -> Value:
        found = self.attribute(base, name, node.func)
        if not isinstance(found.what, MethodOf):
            return self.call(found, arguments, node)
        if name in ("add_module", "register_module", "register_parameter", "register_buffer"):
            key = arguments.get(0, "name")
            text = key.what.value if key is not None and isinstance(key.what, Const) else _pattern(node)
            value = arguments.get(1, "module") or arguments.get(1, "param") or arguments.get(1, "tensor") or NOTHING
            place = (thing.key, str(text))
            self.heap[place] = join(self.heap[place], value) if place in self.heap else value
            self.added |= self.flow(value).every
            return NOTHING
        if name in ("forward", "__call__"):
            return self._call_thing(thing, arguments, node)
        flow = self.flow(base)
        if name in ("parameters", "named_parameters", "children", "modules", "named_children", "named_modules", "eval", "requires_grad_"):
            return self.module_method(Value(flow.live, flow.cuts), name, arguments, node, node.func)
        if name in ("to", "cuda", "cpu", "float", "half", "double", "train", "apply"):
            return base
        if name == "load_state_dict" and not self.building:
            self.written |= flow.every
            return NOTHING
        if name in HARMLESS_CALLS or name in ("state_dict", "buffers", "log", "save_hyperparameters", "manual_backward", "log_dict"):
            return NOTHING
        if self.hierarchy.lineage(thing.owner).strangers and not self.building:
            self.unclear |= flow.every
        given = self.flow_of(arguments)
        self.pending |= given.live
        return self.maybe_computed(blend([given, self.called_back(arguments, node)]))

    def _method_above(self, above: Above, base: Value, name: str, arguments: Arguments, node: ast.Call) -> Value:
        found = self.attribute(base, name, node.func)
        if isinstance(found.what, Bound):
            return self.call(found, arguments, node)
        if name == "__call__" and self.hierarchy.lineage(above.thing.owner).method("forward") is not None:
            return self.call(self.attribute(Value(0, (), above.thing), "forward", node.func), arguments, node)
        if name in ("forward", "__call__") and not self.building:
            flow = self.flow(Value(0, (), above.thing))
            self.unclear |= flow.every
            return self.computed(blend([flow, self.flow_of(arguments)]))
        if name in ("__init__", "__setattr__", "__getattr__", "train", "eval"):
            return NOTHING
        return self._thing_method(Value(0, (), above.thing), above.thing, "super()." + name, arguments, node)

    def _class_method(self, owner: Class, name: str, arguments: Arguments, node: ast.Call) -> Value:
        lineage = self.hierarchy.lineage(owner)
        if name == "apply" and lineage.is_function:
            return self._apply(owner, arguments, node)
        found = lineage.method(name)
        if found is None and lineage.constant(name) is not None:
            return self.call(self.attribute(Value(0, (), ClassValue(owner)), name, node.func), arguments, node)
        if found is None:
            return self.maybe_computed(self.flow_of(arguments))
        kinds = {last_name(entry) for entry in found[1].decorator_list}
        first = arguments.positional[0] if arguments.positional else None
        bound = Bound(found[1], found[0].module, None, None, found[0])
        if not kinds & {"staticmethod", "classmethod"} and first is not None and isinstance(first.what, Thing):
            rest = Arguments(arguments.positional[1:], arguments.keywords, arguments.rest, arguments.spread)
            return self.invoke(bound._replace(thing=first.what), rest, node)
        return self.invoke(bound, arguments, node)

    def _apply(self, owner: Class, arguments: Arguments, node: ast.Call) -> Value:
        """`Function.apply`: what goes in comes out, except where `backward` hands back None in every case."""
        found = self.hierarchy.lineage(owner).method("backward")
        dropped = _always_none(found[1]) if found is not None else {}
        values = []
        for place, value in enumerate(arguments.positional):
            flow = self.flow(value)
            if place in dropped and found is not None and flow.every and not _holds_modules(value.what):
                self.frames.append(Frame(found[1], found[0].module, f"{owner.name}.backward", None, None, None, ()))
                number = self.cut_number(CutReason.CUSTOM_FUNCTION, dropped[place], f"{owner.name}.backward", code="GF106")
                self.frames.pop()
                flow = cut_by(flow, number)
            values.append(flow)
        return self.computed(blend([*values, *(self.flow(value) for _, value in arguments.keywords), self.flow(arguments.rest)]))


def _holds_modules(what: object) -> bool:
    """Whether an argument is a module or holds some: for it `backward` can return nothing but None, and sees to its parameters itself."""
    return isinstance(what, (Thing, Layers, Container)) or (isinstance(what, Unit) and not what.is_parameter)


def _always_none(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[int, ast.AST]:
    """Places of `apply`'s arguments for which every `return` of `backward` says None, with the last such `return`."""
    returns = [entry for entry in ast.walk(node) if isinstance(entry, ast.Return)]
    tuples = [entry.value.elts for entry in returns if isinstance(entry.value, ast.Tuple)]
    if not returns or len(tuples) != len(returns) or any(isinstance(part, ast.Starred) for parts in tuples for part in parts):
        return {}
    places = range(min(len(parts) for parts in tuples))
    return {place: returns[-1] for place in places if all(_is_none(parts[place]) for parts in tuples)}


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _pattern(node: ast.Call) -> str:
    """The name that an f-string, a format or a sum begins with, and `*`."""
    name = node.args[0] if node.args else None
    if isinstance(name, ast.Call) and isinstance(name.func, ast.Attribute) and name.func.attr == "format":
        name = ast.BinOp(name.func.value, ast.Mod(), ast.Tuple(name.args))
    if isinstance(name, ast.JoinedStr):
        return re.sub(r"\*.*\*", "*", "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in name.values))
    if isinstance(name, ast.BinOp) and isinstance(name.left, ast.Constant) and isinstance(name.left.value, str):
        return re.split(r"[%{]", name.left.value)[0] + "*"
    return "*"
