"""What expressions evaluate to, in the abstract: names, attributes, operators, containers. Calls stand in `calls`."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, ClassVar

from gradflow.graph.flow import CutReason
from gradflow.static.constants import bound_of, compared
from gradflow.static.flows import Flows
from gradflow.static.machine import Above, Bound, ClassValue, Frame, State, Thing, merge
from gradflow.static.names import Assigned, Class, Function, Imported, Module, imported
from gradflow.static.spelling import last_name
from gradflow.static.torch_names import WITHOUT_VALUES_ATTRIBUTES
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
    Qualified,
    Stateless,
    Unit,
    Value,
    Wrapped,
    blend,
    constant_of,
    join,
    join_all,
    members_of,
    outside,
)

TAKEN_AS_METHODS = frozenset({"detach", "detach_", "forward", "numpy", "item", "tolist", "long", "int", "bool", "argmax", "append"})
LONGEST_KNOWN = 24
_WITHOUT_TENSORS = frozenset({ast.Is, ast.IsNot, ast.In, ast.NotIn})
"""Comparisons that make no tensor."""
_NEVER_NONE = frozenset({Unit, Layers, Thing, Container, Stateless})


class Expressions(Flows):
    """Evaluates expressions; what a call does is given by a subclass."""

    methods: ClassVar[dict[type, Callable[..., Any]]] = {}
    """By class of node, the method for it: `_Call` for `ast.Call`."""

    def __init_subclass__(cls) -> None:
        cls.methods = {getattr(ast, name[1:]): getattr(cls, name) for name in dir(cls) if name[0] == "_" and hasattr(ast, name[1:])}

    def evaluate_call(self, node: ast.Call) -> Value:
        """What the call evaluates to."""
        raise NotImplementedError

    def run_method(self, thing: Thing, name: str, arguments: tuple[Value, ...]) -> Value | None:
        """What a method of `thing` returns, or None where it has none of that name."""
        raise NotImplementedError

    def run_comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
        """The one member that stands for all that the comprehension makes."""
        raise NotImplementedError

    def assign(self, target: ast.expr, value: Value) -> None:
        """Binds `value` to a target."""
        raise NotImplementedError

    def evaluate(self, node: ast.expr) -> Value:
        """What `node` may be."""
        self.work += 1
        if self.work >= self.next_check:
            self.check_work()
        kind = node.__class__
        if kind is ast.Name and not self.assumed:
            # Half of all expressions are names, and most of these are bound in the running function.
            value = self.frames[-1].env.get(node.id)  # type: ignore[attr-defined]
            if value is not None:
                return value
        method = self.methods.get(kind)
        return NOTHING if method is None else method(self, node)

    # Names and attributes

    def _Constant(self, node: ast.Constant) -> Value:
        return constant_of(node.value)

    def _Name(self, node: ast.Name) -> Value:
        frame: Frame | None = self.frames[-1]
        while frame is not None:
            value = frame.env.get(node.id)
            if value is not None:
                return self.assume(node.id, value) if self.assumed and value == NOTHING and len(self.frames) == 2 else value
            frame = frame.closure
        return self.global_name(self.frame.module, node.id)

    def global_name(self, module: Module, name: str) -> Value:
        """What a name at the top level of `module` is; a name that is bound nowhere is taken for a built-in one."""
        found = self.package.lookup(module, name)
        return outside(f"builtins.{name}") if found is None and name not in module.names else self.resolved(found)

    def resolved(self, found: object) -> Value:
        """The value of what a name was resolved to."""
        if isinstance(found, Class):
            return Value(0, (), ClassValue(found))
        if isinstance(found, Function):
            return Value(0, (), Bound(found.node, found.module))
        if isinstance(found, str):
            return outside(found)
        if isinstance(found, Module):
            return Value(0, (), found)
        if isinstance(found, Assigned) and isinstance(found.value, (ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.Lambda)):
            return self._at_top_level(found)
        return NOTHING

    def _at_top_level(self, found: Assigned) -> Value:
        node = found.value
        if isinstance(node, ast.Call) and not _makes_context(node):
            return NOTHING
        if len(self.frames) > 60:
            return NOTHING
        frame = Frame(None, found.module, "<module>", None, None, None, (id(node),))
        self.frames.append(frame)
        value = self.evaluate(node)
        self.frames.pop()
        return value

    def bind_import(self, statement: ast.Import | ast.ImportFrom) -> None:
        """Binds the names of an import inside a function."""
        for name, binding in imported(statement):
            assert isinstance(binding, Imported)
            self.frame.env[name] = self.resolved(self.package.follow(self.frame.module, binding))

    def _Attribute(self, node: ast.Attribute) -> Value:
        return self.attribute(self.evaluate(node.value), node.attr, node)

    def attribute(self, base: Value, name: str, node: ast.expr) -> Value:
        """What `base.name` is."""
        what = base.what
        if what is None and name not in TAKEN_AS_METHODS and name != "data":
            return NOTHING if name in WITHOUT_VALUES_ATTRIBUTES else base
        if isinstance(what, Thing):
            return self._thing_attribute(what, name)
        if isinstance(what, Qualified):
            return outside(f"{what.name}.{name}")
        if isinstance(what, Module):
            return self.resolved(self.package.member(what, name))
        if isinstance(what, Above):
            found = self.hierarchy.lineage(what.thing.owner).method(name, after=what.owner)
            return Value(0, (), Bound(found[1], found[0].module, what.thing, None, found[0])) if found else NOTHING
        if isinstance(what, ClassValue):
            return self._class_attribute(what.owner, name)
        if isinstance(what, Choice):
            return join_all(self.attribute(entry, name, node) for entry in what.members)
        if name in WITHOUT_VALUES_ATTRIBUTES:
            return NOTHING
        if isinstance(what, (Container, Items)):
            member = self.member(base, name)
            if member is not None:
                return member
        if isinstance(what, (Container, Items, Layers, Each, MethodOf, Bound, Wrapped)) or name in TAKEN_AS_METHODS:
            return Value(0, (), MethodOf(base, name))
        flow = self.flow(base)
        leaf = isinstance(what, (Unit, Leaf))
        if name == "data":
            flow = self.cut(flow, CutReason.DATA, node)
        return Value(flow.live, flow.cuts, Leaf()) if leaf else flow

    def _thing_attribute(self, thing: Thing, name: str) -> Value:
        value: Value | None = self.heap.get((thing.key, name))
        if value is not None:
            return self.assume(f"self.{name}", value) if self.assumed and value == NOTHING else value
        lineage = self.hierarchy.lineage(thing.owner)
        method = lineage.method(name)
        if method is not None:
            owner, node = method
            decorators = {last_name(entry) for entry in node.decorator_list}
            if "property" in decorators or "cached_property" in decorators:
                return self.run_method(thing, name, ()) or NOTHING
            return Value(0, (), Bound(node, owner.module, None if "staticmethod" in decorators else thing, None, owner))
        constant = lineage.constant(name)
        if constant is not None and isinstance(constant[1], (ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.Lambda)):
            if isinstance(constant[1], ast.Constant) and self._set_elsewhere(thing, name):
                return NOTHING
            return self._at_top_level(Assigned(constant[1], constant[0].module))
        if name in ("_modules", "_parameters", "__dict__"):
            return self.flow(Value(0, (), thing))
        # What every module has, or whoever built it has set: `training`, `device`, `num_heads`.
        return NOTHING if name in WITHOUT_VALUES_ATTRIBUTES else Value(0, (), MethodOf(Value(0, (), thing), name))

    def _set_elsewhere(self, thing: Thing, name: str) -> bool:
        """Whether a class attribute has other values too: in a subclass, or set on an object."""
        return self.relevance.set_elsewhere(thing.owner, name)

    def _class_attribute(self, owner: Class, name: str) -> Value:
        lineage = self.hierarchy.lineage(owner)
        found = lineage.method(name)
        if found is not None:
            return Value(0, (), Bound(found[1], found[0].module, None, None, found[0]))
        if name == "apply" and lineage.is_function:
            return Value(0, (), MethodOf(Value(0, (), ClassValue(owner)), "apply"))
        constant = lineage.constant(name)
        if constant is not None and isinstance(constant[1], (ast.Constant, ast.Attribute, ast.Call, ast.Lambda)):
            return self._at_top_level(Assigned(constant[1], constant[0].module))
        return NOTHING

    # Operators

    def _BinOp(self, node: ast.BinOp) -> Value:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if left.what is None and right.what is None:
            return self.computed(blend([left, right]))
        if isinstance(left.what, Const) and isinstance(right.what, Const):
            return Value(0, (), Const(None)) if isinstance(left.what.value, str) else NOTHING
        parts = self._concatenated(left, right, node)
        if parts is not None:
            return parts
        return self.computed(blend([self.flow(left), self.flow(right)]))

    def _concatenated(self, left: Value, right: Value, node: ast.BinOp) -> Value | None:
        """`[a] + [b]`, `(a,) + (b,)`, `[a] * n`: containers, and no operation of torch."""
        kinds = (Container, Items, Each)
        if isinstance(node.op, ast.Mult) and isinstance(left.what, Container) and not isinstance(right.what, kinds):
            return self.new_container(node, Each(self.element(left)))
        if isinstance(node.op, ast.Add) and isinstance(left.what, kinds) and isinstance(right.what, kinds):
            return self.new_container(node, self.together(left, right))
        if isinstance(node.op, ast.Add) and (isinstance(left.what, Items) or isinstance(right.what, Items)):
            return Value(0, (), Each(join(self.element(left), self.element(right))))
        return None

    def _UnaryOp(self, node: ast.UnaryOp) -> Value:
        value = self.evaluate(node.operand)
        if isinstance(value.what, Const):
            if isinstance(node.op, ast.Not):
                return Value(0, (), Const(not value.what.value))
            return value
        if isinstance(node.op, ast.Not):
            return NOTHING
        return self.computed(self.flow(value))

    def _BoolOp(self, node: ast.BoolOp) -> Value:
        return join_all(self.evaluate(entry) for entry in node.values)

    def _Compare(self, node: ast.Compare) -> Value:
        values = [self.evaluate(node.left), *[self.evaluate(entry) for entry in node.comparators]]
        if any(operation.__class__ in _WITHOUT_TENSORS for operation in node.ops):
            return NOTHING
        if len(values) == 2 and values[0].what.__class__ is Const is values[1].what.__class__:
            return compared(node.ops[0], values[0].what.value, values[1].what.value)
        flow = blend([self.flow(value) for value in values])
        return self.cut(flow, CutReason.NO_DERIVATIVE, node) if flow.every else NOTHING

    def _IfExp(self, node: ast.IfExp) -> Value:
        truth = self.truth(node.test)
        if truth is not None:
            return self.evaluate(node.body if truth else node.orelse)
        before, met = self.snapshot(), self.cuts_met
        one = self.evaluate(node.body)
        after: State | None = self.taken()
        self.restore(before)
        other = self.evaluate(node.orelse)
        after = merge(after, self.taken())
        assert after is not None
        self.restore(after)
        if self.cuts_met > met:
            self.note_flag(node.test)
        return join(one, other)

    def truth(self, test: ast.expr) -> bool | None:
        """Whether a condition is true, as far as constants of the source say; None where it is not known."""
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and test.ops[0].__class__ in (ast.Is, ast.IsNot):
            other = test.comparators[0]
            if isinstance(other, ast.Constant) and other.value is None:
                return self._is_none(self.evaluate(test.left).what, test.ops[0])
        what = self.evaluate(test).what
        return bool(what.value) if isinstance(what, Const) else None

    def _is_none(self, what: Any, operation: ast.cmpop) -> bool | None:
        """`x is None` for a module, which is none."""
        if isinstance(what, Const):
            return (what.value is None) is isinstance(operation, ast.Is)
        return isinstance(operation, ast.IsNot) if what.__class__ in _NEVER_NONE else None

    def _NamedExpr(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        self.assign(node.target, value)
        return value

    def _Lambda(self, node: ast.Lambda) -> Value:
        self.closures.append(self.frame)
        return Value(0, (), Bound(node, self.frame.module, self.frame.thing, self.frame, self.frame.owner))

    def _Await(self, node: ast.Await) -> Value:
        return self.evaluate(node.value)

    def _Starred(self, node: ast.Starred) -> Value:
        return self.element(self.evaluate(node.value))

    def _Yield(self, node: ast.Yield) -> Value:
        value = self.evaluate(node.value) if node.value else NOTHING
        self.frame.yields.append(self.mode)
        self.frame.returns.append((Value(0, (), Each(value)), self.leaving(), node))
        return NOTHING

    def _YieldFrom(self, node: ast.YieldFrom) -> Value:
        value = self.evaluate(node.value)
        self.frame.returns.append((Value(0, (), Each(self.element(value))), self.leaving(), node))
        return NOTHING

    def _JoinedStr(self, node: ast.JoinedStr) -> Value:
        return NOTHING

    # Containers

    def _members(self, nodes: list[ast.expr]) -> Any:
        values = [self.evaluate(entry) for entry in nodes]
        if any(isinstance(entry, ast.Starred) for entry in nodes) or len(values) > LONGEST_KNOWN:
            return Each(join_all(values))
        return Items(tuple(values))

    def _Tuple(self, node: ast.Tuple) -> Value:
        return Value(0, (), self._members(node.elts))

    def _List(self, node: ast.List) -> Value:
        return self.new_container(node, self._members(node.elts))

    def _Set(self, node: ast.Set) -> Value:
        return self.new_container(node, Each(join_all(self.evaluate(entry) for entry in node.elts)))

    def _Dict(self, node: ast.Dict) -> Value:
        values = [self.evaluate(entry) for entry in node.values]
        keys = tuple(key.value if isinstance(key, ast.Constant) else None for key in node.keys)
        if None in keys or len(keys) > LONGEST_KNOWN:
            spread = [self.element(value) if key is None else value for key, value in zip(node.keys, values, strict=True)]
            return self.new_container(node, Each(join_all(spread)))
        return self.new_container(node, Items(tuple(values), keys))

    def _ListComp(self, node: ast.ListComp) -> Value:
        return self.new_container(node, Each(self.run_comprehension(node)))

    def _SetComp(self, node: ast.SetComp) -> Value:
        return self.new_container(node, Each(self.run_comprehension(node)))

    def _DictComp(self, node: ast.DictComp) -> Value:
        return self.new_container(node, Each(self.run_comprehension(node)))

    def _GeneratorExp(self, node: ast.GeneratorExp) -> Value:
        return Value(0, (), Each(self.run_comprehension(node)))

    def _Slice(self, node: ast.Slice) -> Value:
        return blend([self.flow(self.evaluate(part)) for part in (node.lower, node.upper, node.step) if part is not None])

    def _part(self, base: Value, piece: ast.Slice) -> Value | None:
        """`layers[1:3]` of members that are known one by one, None where they or the bounds are not."""
        content = self.heap.get(base.what.key, NOTHING) if isinstance(base.what, Container) else base
        bounds = [bound_of(entry) for entry in (piece.lower, piece.upper, piece.step)]
        stated = all(
            bound is not None or entry is None for bound, entry in zip(bounds, (piece.lower, piece.upper, piece.step), strict=True)
        )
        if not stated or (isinstance(content.what, Items) and content.what.keys is not None):
            return None
        if isinstance(content.what, Layers):
            return Value(0, (), Layers(content.what.members[slice(*bounds)]))
        return Value(0, (), Items(content.what.members[slice(*bounds)])) if isinstance(content.what, Items) else None

    def _Subscript(self, node: ast.Subscript) -> Value:
        base, index = self.evaluate(node.value), self.evaluate(node.slice)
        key = index.what.value if isinstance(index.what, Const) else None
        if isinstance(index.what, Const):
            member = self.member(base, key)
            if member is not None:
                return member
        what = base.what
        if what is None:
            return self.maybe_computed(blend([base, self.flow(index)]))
        if isinstance(what, (Container, Items, Each, Layers)):
            if isinstance(node.slice, ast.Slice):
                part = self._part(base, node.slice)
                if part is not None:
                    return part
                return base if isinstance(what, Layers) else Value(0, (), Each(self.element(base)))
            content = self.heap.get(what.key, NOTHING) if isinstance(what, Container) else base
            inner = join_all(members_of(content.what)) if isinstance(content.what, (Items, Each)) else self.element(base)
            return inner if inner.what is not None else self.maybe_computed(inner)
        if isinstance(what, Choice):
            return join_all(self.element(entry) for entry in what.members)
        flow = self.maybe_computed(blend([self.flow(base), self.flow(index)]))
        return Value(flow.live, flow.cuts, Leaf()) if isinstance(what, (Leaf, Unit)) and flow.every else flow


def _makes_context(node: ast.Call) -> bool:
    return last_name(node.func) in ("no_grad", "inference_mode", "set_grad_enabled", "nullcontext", "partial", "enable_grad")
