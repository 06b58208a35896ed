"""Functions and classes of the source: their arguments are bound, their decorators obeyed, their bodies followed."""

from __future__ import annotations

import ast

from gradflow.graph.flow import CutReason
from gradflow.static.classes import resolve
from gradflow.static.machine import Bound, ClassValue, Frame, Thing, merge_all
from gradflow.static.methods import Arguments
from gradflow.static.names import Class, Function, Module
from gradflow.static.spelling import last_name
from gradflow.static.torch_calls import TorchCalls
from gradflow.static.values import (
    KEEP,
    NOTHING,
    Const,
    Container,
    Each,
    Items,
    Region,
    Stateless,
    Unit,
    Value,
    Wrapped,
    blend,
    constant_of,
    join_all,
    members_of,
)

DEEPEST_CALL = 10
MOST_RECURSIVE = 1
DEEPEST_CONTENT = 3


_INERT = frozenset({Const, Stateless})
"""Kinds of values that hold nothing of a layer."""


class Functions(TorchCalls):
    """Follows functions of the source into their bodies."""

    def run_body(self, frame: Frame, body: list[ast.stmt]) -> None:
        """Runs the statements of a function in `frame`, which is the running one."""
        raise NotImplementedError

    def run_method(self, thing: Thing, name: str, arguments: tuple[Value, ...]) -> Value | None:
        """What a method of `thing` returns, or None where it has none of that name."""
        found = self.hierarchy.lineage(thing.owner).method(name)
        if found is None:
            return None
        return self.invoke(Bound(found[1], found[0].module, thing, None, found[0]), Arguments(arguments), None)

    def invoke(self, bound: Bound, arguments: Arguments, node: ast.Call | None) -> Value:
        """What a function of the source returns."""
        running = [frame.node for frame in self.frames].count(bound.node)
        if running > MOST_RECURSIVE or len(self.frames) > DEEPEST_CALL:
            flow = blend([self.flow_of(arguments), self.flow(Value(0, (), bound))])
            self.unclear |= flow.every
            return self.maybe_computed(flow)
        if self.building and not self.relevance.builds(bound.node, bound.module, bound.owner):
            return self.maybe_computed(self.flow_of(arguments))
        of_module = not self.building and bound.closure is None and bound.owner is None
        if of_module and node is not None and self.relevance.passes_through(bound.node, bound.module):
            return self.maybe_computed(blend([self.flow_of(arguments), self.called_back(arguments, node)]))
        if not self.building and bound.closure is None and self._gets_nothing(bound, arguments):
            return NOTHING
        self.ran.add(id(bound.node))
        stack = (*(self.frame.stack if self.frames else ()), id(node))
        name = f"{bound.owner.name}.{_name_of(bound.node)}" if bound.owner is not None else _name_of(bound.node)
        frame = Frame(bound.node, bound.module, name, bound.thing, bound.owner, bound.closure, stack)
        if isinstance(bound.node, ast.Lambda):
            return self._run_lambda(frame, bound, arguments)
        decorators = [(entry, last_name(entry)) for entry in bound.node.decorator_list]
        mode = self.mode
        wrapper = self._decorator_of(bound, decorators)
        if wrapper is not None:
            return self.call(wrapper, _with_thing(bound, arguments), node) if node is not None else NOTHING
        self._bind(frame, bound, arguments)
        self.frames.append(frame)
        self._enter_decorators(decorators)
        loops, self.loops = self.loops, 0
        self.run_body(frame, bound.node.body)
        self.loops = loops
        value = self._returned(frame)
        self.pending = 0
        if decorators and any(name in GRAD_DECORATORS for _, name in decorators):
            self.mode = mode
        if frame.yields and any(name in ("contextmanager", "asynccontextmanager") for _, name in decorators):
            self.mode = mode
            modes = set(frame.yields)
            return Value(0, (), Region(modes.pop() if len(modes) == 1 else -2))
        return value

    def _gets_nothing(self, bound: Bound, arguments: Arguments) -> bool:
        """Whether a call has no part in what layers compute: nothing of it comes in, and the function takes nothing from the object."""
        bearing = [place for place, value in arguments.numbered if self._bears(value)]
        if self._bears(arguments.rest) or (
            bearing and (bound.owner is not None or not self.relevance.ignores(bound.node, bound.module, bearing))
        ):
            return False
        return self.relevance.inert(bound.node, bound.module, bound.thing.owner if bound.thing is not None else bound.owner)

    def _bears(self, value: Value, depth: int = 0) -> bool:
        """Whether a value may have something of a layer in it: a list or dict of what has nothing has nothing."""
        what = value.what
        if value.live or value.cuts:
            return True
        if what is None or what.__class__ in _INERT:
            return False
        content = self.heap.get(what.key, NOTHING).what if isinstance(what, Container) else what
        if not isinstance(content, (Items, Each)) or depth > DEEPEST_CONTENT:
            return True
        return any(self._bears(member, depth + 1) for member in members_of(content))

    def _returned(self, frame: Frame) -> Value:
        """Ends `frame`: all that it returned, in the state after all its returns."""
        merged = merge_all([state for _, state, _ in frame.returns])
        self.frames.pop()
        if merged is not None:
            self.heap, self.mode = merged.heap, merged.mode
        if frame.yields:
            # A generator ends by itself: only what it yields comes out.
            return join_all(value for value, _, _ in frame.returns if value.what is not None)
        return join_all(value for value, _, _ in frame.returns)

    def _run_lambda(self, frame: Frame, bound: Bound, arguments: Arguments) -> Value:
        self._bind(frame, bound, arguments)
        self.frames.append(frame)
        value = self.evaluate(bound.node.body)
        self.frames.pop()
        return value

    def _enter_decorators(self, decorators: list[tuple[ast.expr, str]]) -> None:
        for entry, name in reversed(decorators):
            if name not in GRAD_DECORATORS:
                continue
            if isinstance(entry, ast.Call):
                region = self.evaluate(entry).what
                mode = region.mode if isinstance(region, Region) else self.mode
            else:
                mode = 0 if name != "enable_grad" else -1
            if mode >= 0:
                reason = CutReason.INFERENCE_MODE if name == "inference_mode" else CutReason.NO_GRAD
                mode = self.cut_number(reason, entry, "@" + ast.unparse(entry), region=True)
            self.mode = self.mode if mode == KEEP else mode

    def _decorator_of(self, bound: Bound, decorators: list[tuple[ast.expr, str]]) -> Value | None:
        """What a decorator of the package, whose own source switches gradients, makes of the function; None where there is none."""
        for entry, name in decorators:
            if bound.undecorated or name in GRAD_DECORATORS or not self._may_switch(entry, bound.module):
                continue
            self.frames.append(Frame(None, bound.module, "<module>", None, None, None, ()))
            what = self.evaluate(entry).what
            self.frames.pop()
            bare = Value(0, (), bound._replace(thing=None, undecorated=True))
            if isinstance(what, Region) and what.mode >= 0:
                return Value(0, (), Wrapped(what.mode, bare))
            if isinstance(what, Thing):
                mode = self._mode_inside(what)
                if mode >= 0:
                    return Value(0, (), Wrapped(mode, bare))
            if isinstance(what, Bound) and isinstance(what.node, ast.FunctionDef):
                made = self.invoke(what, Arguments((bare,)), None)
                return made if made.what is not None else None
        return None

    def _may_switch(self, entry: ast.expr, module: Module) -> bool:
        """Whether the source of a decorator has a word in it that stops gradients."""
        found = resolve(self.package, module, entry.func if isinstance(entry, ast.Call) else entry)
        return isinstance(found, (Function, Class)) and self.relevance.switches(found)

    def _mode_inside(self, thing: Thing) -> int:
        """The mode of gradients in a block that `thing` opens."""
        before = self.mode
        self.run_method(thing, "__enter__", ())
        inside, self.mode = self.mode, before
        return inside

    def _bind(self, frame: Frame, bound: Bound, arguments: Arguments) -> None:
        spec = bound.node.args
        names = [entry.arg for entry in (*spec.posonlyargs, *spec.args)]
        given = list(arguments.positional)
        if bound.owner is not None and not isinstance(bound.node, ast.Lambda) and names:
            decorators = {last_name(entry) for entry in bound.node.decorator_list}
            if bound.thing is not None and "staticmethod" not in decorators and bound.closure is None:
                kind = ClassValue(bound.thing.owner) if "classmethod" in decorators else bound.thing
                given.insert(0, Value(0, (), kind))
            elif "classmethod" in decorators:
                given.insert(0, Value(0, (), ClassValue(bound.owner)))
        env = dict.fromkeys([*names, *[entry.arg for entry in spec.kwonlyargs]], arguments.rest)
        if not arguments.spread and (spec.defaults or spec.kwonlyargs):
            env.update(_defaults(spec))
        env.update(zip(names, given, strict=False))
        extra = dict(arguments.keywords)
        if extra:
            env.update({name: extra.pop(name) for name in list(extra) if name in env})
        if spec.vararg:
            more = tuple(given[len(names) :])
            env[spec.vararg.arg] = Value(0, (), Each(join_all([*more, arguments.rest])) if arguments.spread else Items(more))
        if spec.kwarg:
            env[spec.kwarg.arg] = self._spread_keywords(extra, arguments)
        frame.env = env

    def _spread_keywords(self, extra: dict[str, Value], arguments: Arguments) -> Value:
        if arguments.spread:
            return Value(0, (), Each(join_all([*extra.values(), arguments.rest])))
        return Value(0, (), Items(tuple(extra.values()), tuple(extra)))

    def instantiate(self, owner: Class, arguments: Arguments, node: ast.Call) -> Value:
        """An instance of a class of the package."""
        lineage = self.hierarchy.lineage(owner)
        switch = next((last for name in lineage.outside for last in [name.rpartition(".")[2]] if last in GRAD_DECORATORS), "")
        if switch and lineage.method("__enter__") is None and lineage.method("__init__") is None:
            return self.outside_call(f"torch.{switch}", arguments, node)
        if not lineage.is_module:
            return self._plain_instance(owner, arguments, node)
        if lineage.is_container:
            return self.new_container(node, Each(join_all([self.flow_of(arguments)])), registered=True)
        depth = sum(frame.function.endswith(".__init__") for frame in self.frames)
        if self.building and depth < 4 and self.relevance.any_cuts(owner):
            return self.build(owner, ("thing", *self.frame.stack, id(node)), arguments, node)
        known = self.hierarchy.has_parameters(owner)
        if not known and not lineage.strangers:
            return Value(0, (), Stateless("torch." + owner.name))
        number = self.unit(node, known=known, what=owner.name)
        return Value(1 << number, (), Unit(number))

    def build(self, owner: Class, key: object, arguments: Arguments, node: ast.Call | None) -> Value:
        """A module of the package, with the attributes that its `__init__` makes."""
        thing = Thing(owner, key)
        if self._is_built(thing, arguments):
            return Value(0, (), thing)
        found = self.hierarchy.lineage(owner).method("__init__")
        if found is not None:
            was, self.building = self.building, True
            self.invoke(Bound(found[1], found[0].module, thing, None, found[0]), arguments, node)
            self.building = was
        return Value(0, (), thing)

    def _is_built(self, thing: Thing, arguments: Arguments) -> bool:
        """Whether an earlier round of a loop has built the same module, from arguments that no statement can have changed since."""
        known = self.built_from.get(thing.key)
        if known is not None and known == arguments and any(key[0] == thing.key for key, _ in self.heap.items()):
            return True
        if all(value.what is None or value.what.__class__ in _INERT for value in arguments.values):
            self.built_from[thing.key] = arguments
        return False

    def _plain_instance(self, owner: Class, arguments: Arguments, node: ast.Call) -> Value:
        lineage = self.hierarchy.lineage(owner)
        if lineage.method("__enter__") is not None or lineage.method("__call__") is not None:
            thing = Thing(owner, ("thing", *self.frame.stack, id(node)))
            self.run_method_with(thing, "__init__", arguments, node)
            return Value(0, (), thing)
        values = [*arguments.positional, *(value for _, value in arguments.keywords)]
        if arguments.positional or arguments.spread:
            return self.new_container(node, Each(join_all([*values, arguments.rest])))
        return self.new_container(node, Items(tuple(values), tuple(key for key, _ in arguments.keywords)))

    def run_method_with(self, thing: Thing, name: str, arguments: Arguments, node: ast.Call) -> None:
        """Runs a method of `thing` for what it leaves on it."""
        found = self.hierarchy.lineage(thing.owner).method(name)
        if found is not None:
            self.invoke(Bound(found[1], found[0].module, thing, None, found[0]), arguments, node)


GRAD_DECORATORS = frozenset({"no_grad", "inference_mode", "enable_grad", "set_grad_enabled"})


def _name_of(node: ast.AST) -> str:
    return str(getattr(node, "name", "<lambda>"))


def _with_thing(bound: Bound, arguments: Arguments) -> Arguments:
    if bound.thing is None:
        return arguments
    return arguments._replace(positional=(Value(0, (), bound.thing), *arguments.positional))


def _defaults(spec: ast.arguments) -> dict[str, Value]:
    """The defaults that are constants."""
    names = [entry.arg for entry in (*spec.posonlyargs, *spec.args)]
    pairs = list(zip(names[len(names) - len(spec.defaults) :], spec.defaults, strict=True))
    pairs += [(entry.arg, default) for entry, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if default is not None]
    return {name: constant_of(value.value) if isinstance(value, ast.Constant) else NOTHING for name, value in pairs}
