"""The abstract interpreter: statements. Branches are joined, loops are walked to a fixed point, nothing is ever executed."""

from __future__ import annotations

import ast

from gradflow.graph.flow import CutReason
from gradflow.static.branches import Branches
from gradflow.static.machine import Bound, Frame, Thing, merge_all
from gradflow.static.methods import Arguments
from gradflow.static.names import class_of
from gradflow.static.spelling import label_of, last_name
from gradflow.static.values import (
    KEEP,
    NOTHING,
    UNKNOWN_MODE,
    Choice,
    Const,
    Container,
    Each,
    Items,
    Layers,
    Leaf,
    Region,
    Unit,
    Value,
    blend,
    join,
    join_all,
    members_of,
)

MOST_ROUNDS = 5


class Interpreter(Branches):
    """Runs statements. A method of a statement returns whether what follows it is reached."""

    def run_body(self, frame: Frame, body: list[ast.stmt]) -> None:
        """Runs the body of a function; falling off its end returns nothing."""
        if self.run(body):
            frame.returns.append((NOTHING, self.snapshot(), frame.node))

    def run(self, body: list[ast.stmt]) -> bool:
        """Runs statements one by one, as far as they are reached."""
        for statement in body:
            method = self.methods.get(statement.__class__)
            if method is not None and not method(self, statement):
                return False
        return True

    # Plain statements

    def _Expr(self, node: ast.Expr) -> bool:
        before, self.pending = self.pending, 0
        self.evaluate(node.value)
        # What a call got whose result nobody takes, it got for something that is not seen.
        self.escaped |= self.pending
        self.pending = before
        return not _never_returns(node.value)

    def _Assign(self, node: ast.Assign) -> bool:
        value = self.evaluate(node.value)
        for target in node.targets:
            self.assign(target, value)
        return True

    def _AnnAssign(self, node: ast.AnnAssign) -> bool:
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value))
        return True

    def _AugAssign(self, node: ast.AugAssign) -> bool:
        old, new = self.evaluate(node.target), self.evaluate(node.value)
        if isinstance(old.what, Container):
            self.heap[old.what.key] = Value(0, (), self.together(old, new))
            return True
        if isinstance(old.what, Items) or (isinstance(new.what, (Items, Container)) and old.what is None):
            self.assign(node.target, Value(0, (), Each(join(self.element(old), self.element(new)))))
            return True
        value = self.computed(blend([self.flow(old), self.flow(new)]))
        if isinstance(old.what, (Leaf, Unit)):
            self.written |= 0 if self.building else self.flow(old).every
            return True
        if isinstance(node.target, ast.Subscript):
            self.mutate(node.target, value)
        else:
            self.assign(node.target, value)
        return True

    def _Return(self, node: ast.Return) -> bool:
        value = self.evaluate(node.value) if node.value is not None else NOTHING
        self.frame.returns.append((value, self.leaving(), node))
        return False

    def _Raise(self, node: ast.Raise) -> bool:
        return False

    def _Break(self, node: ast.Break) -> bool:
        self.frame.breaks.append(self.leaving(self.blocks))
        return False

    def _Continue(self, node: ast.Continue) -> bool:
        self.frame.continues.append(self.leaving(self.blocks))
        return False

    def _Global(self, node: ast.Global | ast.Nonlocal) -> bool:
        self.frame.outer_names.update(node.names)
        return True

    _Nonlocal = _Global

    def _Import(self, node: ast.Import) -> bool:
        self.bind_import(node)
        return True

    def _ImportFrom(self, node: ast.ImportFrom) -> bool:
        self.bind_import(node)
        return True

    def _FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        self.closures.append(self.frame)
        self.frame.env[node.name] = Value(0, (), Bound(node, self.frame.module, self.frame.thing, self.frame, self.frame.owner))
        return True

    _AsyncFunctionDef = _FunctionDef

    def _ClassDef(self, node: ast.ClassDef) -> bool:
        self.frame.env[node.name] = self.resolved(class_of(node, self.frame.module))
        return True

    # Assignment

    def assign(self, target: ast.expr, value: Value) -> None:
        """Binds `value` to a target."""
        if isinstance(target, ast.Name):
            self._assign_name(target.id, value)
        elif isinstance(target, ast.Attribute):
            self._assign_attribute(target, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target.elts, value)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, Value(0, (), Each(self.element(value))))
        elif isinstance(target, ast.Subscript):
            self._assign_member(target, value)

    def _assign_name(self, name: str, value: Value) -> None:
        frame = self.frame
        if name in frame.outer_names:
            self.escaped |= self.flow(value).live
            outer = frame.closure
            while outer is not None and name not in outer.env:
                outer = outer.closure
            if outer is not None:
                outer.env[name] = join(outer.env[name], value)
                return
        frame.env[name] = value

    def _assign_attribute(self, target: ast.Attribute, value: Value) -> None:
        base = self.evaluate(target.value)
        if isinstance(base.what, Thing):
            self.heap[base.what.key, target.attr] = value
            return
        flow = self.flow(base)
        if target.attr == "requires_grad":
            if not (isinstance(value.what, Const) and value.what.value is True):
                self.frozen |= flow.every
            return
        if target.attr == "data":
            self.written |= 0 if self.building else flow.every
            return
        if target.attr == "grad":
            self.escaped |= flow.every
            return
        # An attribute of something that is not known: whoever holds it may read it.
        self.escaped |= self.flow(value).live
        given = self.flow(value)
        if isinstance(base.what, Unit) and not self.building and given.every:
            # A new weight: the layer computes with it from here on, and nobody trains the old one.
            self.written |= flow.every
            self.assign(target.value, Value(*blend([base.plain(), given])[:2], base.what))

    def _assign_member(self, target: ast.Subscript, value: Value) -> None:
        base, index = self.evaluate(target.value), self.evaluate(target.slice)
        if isinstance(base.what, Container):
            content = self.heap.get(base.what.key, NOTHING).what
            key = index.what.value if isinstance(index.what, Const) else None
            if isinstance(content, Items) and isinstance(key, str) and not self.loops:
                self.heap[base.what.key] = Value(0, (), _with_member(content, key, value))
            else:
                self.heap[base.what.key] = Value(0, (), Each(join_all([*members_of(content), value])))
            return
        if isinstance(base.what, (Leaf, Unit)):
            self.written |= 0 if self.building else self.flow(base).every
            return
        if isinstance(index.what, Const) and isinstance(index.what.value, str):
            self.escaped |= self.flow(value).live
        self.mutate(target.value, self.computed(self.flow(value)))

    def _unpack(self, targets: list[ast.expr], value: Value) -> None:
        what = value.what
        if isinstance(what, Container):
            value = self.heap.get(what.key, NOTHING)
            what = value.what
        starred = any(isinstance(entry, ast.Starred) for entry in targets)
        if isinstance(what, (Items, Layers)) and len(what.members) == len(targets) and not starred:
            for target, member in zip(targets, what.members, strict=True):
                self.assign(target, member)
            return
        if isinstance(what, Items) and starred and what.keys is None:
            self._unpack_starred(targets, what)
            return
        member = self.element(value)
        if member.what is None:
            member = self.maybe_computed(member)
        for target in targets:
            self.assign(target.value if isinstance(target, ast.Starred) else target, member)

    def _unpack_starred(self, targets: list[ast.expr], what: Items) -> None:
        place = next(number for number, entry in enumerate(targets) if isinstance(entry, ast.Starred))
        after = len(targets) - place - 1
        members = list(what.members)
        middle = members[place : len(members) - after]
        for target, member in zip(targets[:place], members[:place], strict=False):
            self.assign(target, member)
        starred = targets[place]
        assert isinstance(starred, ast.Starred)
        self.assign(starred.value, self.new_container(starred, Items(tuple(middle))))
        for target, member in zip(targets[place + 1 :], members[len(members) - after :], strict=False):
            self.assign(target, member)

    def _Delete(self, node: ast.Delete) -> bool:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.frame.env.pop(target.id, None)
        return True

    # Regions

    def _With(self, node: ast.With | ast.AsyncWith) -> bool:
        before = self.mode
        switched = False
        things = []
        for item in node.items:
            # `set_grad_enabled(False)` switches when it is called, so the mode before the call is the one to go back to.
            context = self.evaluate(item.context_expr)
            mode = self._mode_of(context, node, item)
            if mode is not None:
                self.mode, switched = (self.mode if mode == KEEP else mode), True
            entered = context
            if isinstance(context.what, Thing):
                entered = self.run_method(context.what, "__enter__", ()) or NOTHING
                things.append(context.what)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, entered if mode is None else context)
        if switched:
            self.frame.regions.append(before)
        reached = self.run(node.body)
        if switched:
            self.frame.regions.pop()
        for thing in things:
            self.run_method(thing, "__exit__", (NOTHING, NOTHING, NOTHING))
        if switched:
            self.mode = before
        return reached

    _AsyncWith = _With

    def _mode_of(self, context: Value, node: ast.With | ast.AsyncWith, item: ast.withitem) -> int | None:
        """The mode that entering `context` sets, None where it is no region of gradients."""
        what = context.what
        if isinstance(what, Choice):
            modes = {self._mode_of(entry, node, item) for entry in what.members}
            known = {self.mode if mode == KEEP else mode for mode in modes if mode is not None}
            if None in modes:
                known.add(self.mode)
            return known.pop() if len(known) == 1 else UNKNOWN_MODE
        if not isinstance(what, Region):
            return None
        if what.mode < 0:
            return what.mode
        cut = self.cuts[what.mode]
        label = cut.label if isinstance(item.context_expr, ast.Call) else label_of(item.context_expr)
        reason = cut.reason if isinstance(cut.reason, CutReason) else CutReason.NO_GRAD
        return self.cut_number(reason, node, label, region=True)

    def start(self, thing: Thing, name: str) -> Frame | None:
        """Runs the method `name` of `thing` with arguments that are not known; the frame holds what it returned, and where."""
        found = self.hierarchy.lineage(thing.owner).method(name)
        if found is None:
            return None
        owner, node = found
        outer = Frame(None, owner.module, "<module>", None, None, None, ())
        self.frames.append(outer)
        bound = Bound(node, owner.module, thing, None, owner)
        frame = Frame(node, owner.module, f"{owner.name}.{name}", thing, owner, None, ())
        decorators = [(entry, last_name(entry)) for entry in node.decorator_list]
        wrapper = self._decorator_of(bound, decorators)
        if wrapper is not None:
            value = self.call(wrapper, Arguments((Value(0, (), thing),), rest=NOTHING, spread=True), _no_call(node))
            frame.returns.append((value, self.snapshot(), node))
        else:
            self._bind(frame, bound, Arguments(spread=True))
            self.frames.append(frame)
            self.ran.add(id(node))
            self._enter_decorators(decorators)
            self.run_body(frame, node.body)
            self.frames.pop()
        self.frames.pop()
        merged = merge_all([state for _, state, _ in frame.returns])
        if merged is not None:
            self.heap = merged.heap
        self.mode = -1
        return frame


def _no_call(node: ast.AST) -> ast.Call:
    """A call that the source does not hold, at the place of `node`."""
    return ast.copy_location(ast.Call(ast.Name("forward", ast.Load()), [], []), node)


def _with_member(content: Items, key: str, value: Value) -> Items | Each:
    keys = list(content.keys or ())
    if content.members and content.keys is None:
        return Each(join_all([*content.members, value]))
    members = list(content.members)
    if key in keys:
        members[keys.index(key)] = value
    else:
        keys.append(key)
        members.append(value)
    return Items(tuple(members), tuple(keys))


def _never_returns(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) in ("exit", "quit", "_exit")
