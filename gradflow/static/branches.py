"""Branches and loops: ways that part are joined, loops are walked to a fixed point."""

from __future__ import annotations

import ast

from gradflow.static.calls import Calls
from gradflow.static.machine import State, merge, merge_all
from gradflow.static.values import NOTHING, Const, Container, Items, Layers, Value

MOST_ROUNDS = 5
MOST_UNROLLED = 8


class Branches(Calls):
    """Runs statements that part the way. A method returns whether what follows its statement is reached."""

    blocks = 0
    """How many `with` blocks of the frame stand round the innermost loop."""

    def run(self, body: list[ast.stmt]) -> bool:
        """Runs statements one by one, as far as they are reached."""
        raise NotImplementedError

    def _If(self, node: ast.If) -> bool:
        truth = self.truth(node.test)
        if truth is not None:
            return self.run(node.body if truth else node.orelse)
        before, met = self.snapshot(), self.cuts_met
        ends = []
        if self.run(node.body):
            ends.append(self.taken())
        self.restore(before)
        if self.run(node.orelse):
            ends.append(self.taken())
        if self.cuts_met > met:
            self.note_flag(node.test)
        return self._meet(ends)

    def _meet(self, ends: list[State]) -> bool:
        merged = merge_all(ends)
        if merged is not None:
            self.restore(merged)
        return merged is not None

    def _Match(self, node: ast.Match) -> bool:
        subject = self.evaluate(node.subject)
        before = self.snapshot()
        ends: list[State] = []
        for case in node.cases:
            taken = _matches(case.pattern, subject) if case.guard is None else None
            if taken is False:
                continue
            self.restore(before.copy())
            for entry in ast.walk(case.pattern):
                name = getattr(entry, "name", None) or getattr(entry, "rest", None)
                if isinstance(name, str):
                    self.frame.env[name] = self.flow(subject)
            if self.run(case.body):
                ends.append(self.snapshot())
            if taken:
                return self._meet(ends)
        last = node.cases[-1]
        takes_all = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
        return self._meet(ends if takes_all else [*ends, before])

    def _Try(self, node: ast.Try) -> bool:
        before = self.snapshot()
        ends: list[State] = []
        reached = self.run(node.body)
        middle = merge(before, self.snapshot())
        assert middle is not None
        if reached and self.run(node.orelse):
            ends.append(self.snapshot())
        for handler in node.handlers:
            self.restore(middle.copy())
            if self.run(handler.body):
                ends.append(self.snapshot())
        if not self._meet(ends):
            self.run(node.finalbody)
            return False
        return self.run(node.finalbody)

    _TryStar = _Try

    # Loops

    def _For(self, node: ast.For | ast.AsyncFor) -> bool:
        iterated = self.evaluate(node.iter)
        members = self._known_members(iterated)
        if members:
            return self._unrolled(node, members)
        # A loop over layers or data is taken to run at least once.
        once = not _counts_argument(node.iter, self.frame.node)
        return self._loop(node, lambda: self.assign(node.target, self.element(iterated)), once=once)

    _AsyncFor = _For

    def _known_members(self, iterated: Value) -> tuple[Value, ...]:
        """The members of a short tuple, list or Sequential, each of which can be walked on its own; nothing where they are not known."""
        what = iterated.what
        if isinstance(what, Container):
            what = self.heap.get(what.key, NOTHING).what
        known = (isinstance(what, Items) and what.keys is None) or isinstance(what, Layers)
        return what.members if known and len(what.members) <= MOST_UNROLLED and self.loops < 2 else ()

    def _unrolled(self, node: ast.For | ast.AsyncFor, members: tuple[Value, ...]) -> bool:
        outer = self.frame.breaks, self.frame.continues, self.blocks
        self.blocks = len(self.frame.regions)
        out: list[State] = []
        reached = True
        for member in members:
            self.frame.breaks, self.frame.continues = [], []
            self.assign(node.target, member)
            ends = [self.snapshot()] if self.run(node.body) else []
            out += self.frame.breaks
            reached = self._meet([*ends, *self.frame.continues])
            if not reached:
                break
        self.frame.breaks, self.frame.continues, self.blocks = outer
        ends = [self.snapshot()] if reached and self.run(node.orelse) else []
        return self._meet([*ends, *out])

    def _While(self, node: ast.While) -> bool:
        truth = self.truth(node.test)
        if truth is False:
            return self.run(node.orelse)
        return self._loop(node, lambda: self.evaluate(node.test), once=truth is True, endless=truth is True)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, head: object, *, once: bool, endless: bool = False) -> bool:
        outer = self.frame.breaks, self.frame.continues, self.blocks
        self.blocks = len(self.frame.regions)
        self.loops += 1
        before: State = self.snapshot()
        out: list[State] = []
        last: State | None = None
        for _ in range(MOST_ROUNDS):
            self.frame.breaks, self.frame.continues = [], []
            self.restore(before.copy())
            head()  # type: ignore[operator]
            ends = [self.taken()] if self.run(node.body) else []
            last = merge_all([*ends, *self.frame.continues])
            out = self.frame.breaks
            after = merge(before, last)
            assert after is not None
            if after == before:
                break
            before = after
        self.loops -= 1
        self.frame.breaks, self.frame.continues, self.blocks = outer
        end = last if once else before
        if end is None or endless:
            return self._meet(out)
        self.restore(end.copy())
        ends = [self.snapshot()] if self.run(node.orelse) else []
        return self._meet([*ends, *out])

    def run_comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
        """The one member that stands for all that the comprehension makes."""
        shadowed = dict(self.frame.env)
        self.loops += 1
        for generator in node.generators:
            self.assign(generator.target, self.element(self.evaluate(generator.iter)))
            for test in generator.ifs:
                self.evaluate(test)
        value = self.evaluate(node.value if isinstance(node, ast.DictComp) else node.elt)
        self.loops -= 1
        for generator in node.generators:
            for entry in ast.walk(generator.target):
                if isinstance(entry, ast.Name):
                    self.frame.env.pop(entry.id, None)
                    if entry.id in shadowed:
                        self.frame.env[entry.id] = shadowed[entry.id]
        return value


def _matches(pattern: ast.pattern, subject: Value) -> bool | None:
    """Whether a constant of the source matches a pattern, None where that is not known."""
    if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
        return True
    if not isinstance(subject.what, Const):
        return None
    if isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant):
        return bool(pattern.value.value == subject.what.value)
    if isinstance(pattern, ast.MatchSingleton):
        return pattern.value is subject.what.value
    if isinstance(pattern, ast.MatchOr):
        answers = {_matches(entry, subject) for entry in pattern.patterns}
        return True if True in answers else None if None in answers else False
    return None


def _counts_argument(iterated: ast.expr, function: ast.AST | None) -> bool:
    """Whether a loop runs as often as an argument of the function says, which may be never."""
    if not isinstance(iterated, ast.Call) or not isinstance(iterated.func, ast.Name) or iterated.func.id != "range":
        return False
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    spec = function.args
    given = {entry.arg for entry in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)} - {"self"}
    holders = {id(entry.value) for part in iterated.args for entry in ast.walk(part) if isinstance(entry, ast.Attribute)}
    return any(
        isinstance(entry, ast.Name) and entry.id in given and id(entry) not in holders for part in iterated.args for entry in ast.walk(part)
    )
