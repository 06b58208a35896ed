"""A cheap look at one function: what of its arguments and of `self` reaches a place that stops gradients.

It follows names through the statements of the function without their order, and errs on the side of saying that something is reached.
What it finds unreached need not be interpreted: the interpreter would find no cut there either.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gradflow.static.spelling import last_name
from gradflow.static.torch_names import (
    HARMLESS_CALLS,
    INTEGER_TYPES,
    NO_DERIVATIVE,
    TO_INTEGER,
    VALUE_AND_INDEX,
    WITHOUT_VALUES,
    WITHOUT_VALUES_ATTRIBUTES,
)

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
CUTTING_METHODS = (
    NO_DERIVATIVE
    | TO_INTEGER
    | VALUE_AND_INDEX
    | {"detach", "detach_", "clone_detached", "item", "tolist", "numpy", "__array__", "sample", "new_tensor", "max", "min", "median"}
    | {"nanmedian", "data"}
)
CUTTING_FUNCTIONS = frozenset(
    {"float", "int", "bool", "complex", "Parameter", "Variable", "tensor", "Tensor", "FloatTensor", "DoubleTensor", "HalfTensor",
     "LongTensor", "IntTensor", "BoolTensor", "as_tensor", "asarray", "array"}
)  # fmt: skip
CUTTING_ATTRIBUTES = CUTTING_FUNCTIONS - {"float", "complex"}
"""Those that cut as `torch.tensor(x)` too; `x.float()` only changes the precision."""
ARRAYS = frozenset({"np", "numpy"})
SWITCHES = frozenset({"no_grad", "inference_mode", "set_grad_enabled", "_set_grad_enabled", "set_grad_mode"})
CASTS = frozenset({"to", "type", "type_as"})
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
UNKNOWN = "?"
"""Stands for what may come from anywhere."""
_NOTHING: frozenset[str] = frozenset()


class Callee(NamedTuple):
    """What a function of the package does to what it is given.

    `region`: it leaves gradients switched off, or is a context that does; `everything`: any argument may be cut; `places`: those that are,
    by place and by name; `wraps`: as a decorator it may stop all gradients of the function;
    `returns`: the arguments whose values the result depends on, None where that is not known.
    """

    region: bool = False
    everything: bool = False
    places: frozenset[int | str] = frozenset()
    wraps: bool = False
    returns: frozenset[int | str] | None = None

    @property
    def cuts(self) -> bool:
        """Whether it cuts anything."""
        return self.region or self.everything or bool(self.places)


@dataclass(slots=True)
class Slice:
    """What reaches a cut in one function.

    Names stand for arguments, names with a leading dot for attributes of `self`. `region`: gradients are switched off somewhere in it.
    `cuts`: what goes into each cut. `calls`: for each call of a method of `self` its name, and what goes into each argument.
    `returned`: what the result depends on; `sources`: for each name, what it is computed from.
    """

    region: bool = False
    cuts: set[str] = field(default_factory=set)
    calls: list[tuple[str, list[tuple[int | str, frozenset[str]]]]] = field(default_factory=list)
    returned: set[str] = field(default_factory=set)
    sources: dict[str, set[str]] = field(default_factory=dict)

    def closed(self, names: Iterable[str]) -> set[str]:
        """`names`, and all that they were computed from."""
        seen = set(names)
        todo = list(seen)
        while todo:
            fresh = self.sources.get(todo.pop(), _NOTHING) - seen
            seen |= fresh
            todo += fresh
        return seen


def slice_of(node: FunctionNode, own: str, callee: Callable[[ast.expr], Callee]) -> Slice:
    """The slice of a function; `own` is what it calls its object, empty for a plain function.

    `callee` says what a function that is named does to its arguments.
    """
    walk = _Walk(own, callee)
    walk.decorators(node)
    walk.block(node.body)
    return walk.result


class _Walk:
    def __init__(self, own: str, callee: Callable[[ast.expr], Callee]) -> None:
        self.own = own
        self.callee = callee
        self.result = Slice()

    def block(self, body: Sequence[ast.stmt]) -> None:
        """All statements, whatever their order."""
        todo = list(body)
        while todo:
            self._statement(todo.pop(), todo)

    def decorators(self, node: FunctionNode) -> None:
        """Notes what switches gradients off for the whole function."""
        for entry in node.decorator_list:
            if last_name(entry) in SWITCHES:
                self.off(node.body)
                continue
            known = self.callee(entry.func if isinstance(entry, ast.Call) else entry)
            self.result.region = self.result.region or known.region or known.wraps

    def _statement(self, node: ast.stmt, todo: list[ast.stmt]) -> None:
        if isinstance(node, ast.Assign):
            self._bind(node.targets, self.reads(node.value))
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
            if node.value is not None:
                self._bind([node.target], self.reads(node.value))
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self._bind([node.target], self.reads(node.iter))
            todo += node.body + node.orelse
        elif isinstance(node, (ast.If, ast.While)):
            self._test(node.test)
            todo += node.body + node.orelse
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            if any(last_name(item.context_expr) in SWITCHES and isinstance(item.context_expr, ast.Call) for item in node.items):
                self.off(node.body)
                todo += node.body
                return
            for item in node.items:
                read = self.reads(item.context_expr)
                if item.optional_vars is not None:
                    self._bind([item.optional_vars], read)
            todo += node.body
        elif isinstance(node, ast.Return):
            if node.value is not None:
                self.result.returned |= self.reads(node.value)
        elif isinstance(node, ast.Expr):
            # A statement of its own matters for what it cuts and changes; what is yielded is returned.
            read = self.reads(node.value)
            if isinstance(node.value, (ast.Yield, ast.YieldFrom)):
                self.result.returned |= read
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._inner_function(node)
            todo += node.body
        elif isinstance(node, ast.Try) or node.__class__.__name__ == "TryStar":
            todo += node.body + node.orelse + node.finalbody  # type: ignore[attr-defined]
            for handler in node.handlers:  # type: ignore[attr-defined]
                if handler.name:
                    self._flow(handler.name, _NOTHING)
                todo += handler.body
        elif isinstance(node, ast.Match):
            names = [name for entry in ast.walk(node) for name in [getattr(entry, "name", None)] if isinstance(entry, ast.MatchAs) and name]
            read = self.reads(node.subject)
            for name in names:
                self._flow(name, read)
            for case in node.cases:
                todo += case.body
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                self._flow((alias.asname or alias.name).split(".")[0], _NOTHING)
        elif isinstance(node, ast.ClassDef):
            self._flow(node.name, _NOTHING)
            todo += node.body

    def off(self, body: Sequence[ast.stmt]) -> None:
        """What is computed without gradients: all that is read there is cut, and what is bound there is what remains of it."""
        nodes = [entry for statement in body for entry in ast.walk(statement)]
        self.result.cuts |= {f".{entry.attr}" for entry in nodes if isinstance(entry, ast.Attribute) and self._is_own(entry.value)}
        hidden = {id(entry.value) for entry in nodes if isinstance(entry, ast.Attribute) and entry.attr in WITHOUT_VALUES_ATTRIBUTES}
        read = {entry.id for entry in nodes if isinstance(entry, ast.Name) and id(entry) not in hidden and isinstance(entry.ctx, ast.Load)}
        self.result.cuts |= read - {self.own}
        if any((isinstance(entry, ast.Name) and entry.id == "super") or isinstance(entry, ast.Yield) for entry in nodes):
            self.result.region = True  # what stands above, or who takes what is yielded, is not looked up here

    def _inner_function(self, node: FunctionNode) -> None:
        """A function inside: what it returns may come from all that it reads, and what it is given from anywhere."""
        self.decorators(node)
        inside = {f".{entry.attr}" for entry in ast.walk(node) if isinstance(entry, ast.Attribute) and self._is_own(entry.value)}
        inside |= {entry.id for entry in ast.walk(node) if isinstance(entry, ast.Name)}
        self._flow(node.name, inside)
        spec = node.args
        for argument in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg):
            if argument is not None:
                self._flow(argument.arg, {UNKNOWN})

    def _test(self, node: ast.expr) -> None:
        """What is only asked for flows nowhere, but may bind a name, or call a method that does."""
        if node.__class__ is ast.Name:
            return
        for entry in ast.walk(node):
            if isinstance(entry, ast.NamedExpr) or (isinstance(entry, ast.Call) and self._own_method(entry.func)):
                self.reads(entry)

    def _bind(self, targets: Sequence[ast.expr], read: set[str] | frozenset[str]) -> None:
        for target in targets:
            for name in self._names(target):
                self._flow(name, read)

    def _flow(self, name: str, read: set[str] | frozenset[str]) -> None:
        self.result.sources.setdefault(name, set()).update(read)

    def _names(self, target: ast.expr) -> list[str]:
        """The names that a target changes: `x` in `x[0]`, `.w` in `self.w.data`."""
        if isinstance(target, (ast.Tuple, ast.List)):
            return [name for entry in target.elts for name in self._names(entry)]
        node = target
        while not isinstance(node, ast.Name):
            if isinstance(node, ast.Attribute) and self._is_own(node.value):
                return ["." + node.attr]
            inner = getattr(node, "value", None) or getattr(node, "func", None)
            if inner is None:
                return []
            node = inner
        return [node.id]

    def _is_own(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self.own

    def _own_method(self, function: ast.expr) -> str:
        """The name of a method of `self` or `super()`, empty for anything else."""
        if not isinstance(function, ast.Attribute):
            return ""
        value = function.value
        above = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super"
        return function.attr if above or self._is_own(value) else ""

    def reads(self, node: ast.AST) -> set[str]:
        """The names that the value of `node` depends on; cuts and calls on the way are noted."""
        read: set[str] = set()
        todo: list[ast.AST] = [node]
        while todo:
            entry = todo.pop()
            kind = entry.__class__
            if kind is ast.Name:
                read.add(entry.id)  # type: ignore[attr-defined]
            elif kind is ast.Attribute:
                self._attribute(entry, read, todo)  # type: ignore[arg-type]
            elif kind is ast.Call:
                self._call(entry, read, todo)  # type: ignore[arg-type]
            elif kind is ast.Compare:
                inside = set().union(*(self.reads(part) for part in (entry.left, *entry.comparators)))  # type: ignore[attr-defined]
                if any(isinstance(operation, COMPARISONS) for operation in entry.ops):  # type: ignore[attr-defined]
                    self.result.cuts |= inside
                read |= inside
            elif kind is ast.NamedExpr:
                inside = self.reads(entry.value)  # type: ignore[attr-defined]
                self._bind([entry.target], inside)  # type: ignore[attr-defined]
                read |= inside
            elif kind is ast.IfExp:
                self._test(entry.test)  # type: ignore[attr-defined]
                todo += (entry.body, entry.orelse)  # type: ignore[attr-defined]
            elif kind is ast.comprehension:
                self._bind([entry.target], self.reads(entry.iter))  # type: ignore[attr-defined]
                for test in entry.ifs:  # type: ignore[attr-defined]
                    self._test(test)
            elif kind is ast.BinOp:
                todo += (entry.left, entry.right)  # type: ignore[attr-defined]
            elif kind is ast.Subscript:
                todo += (entry.value, entry.slice)  # type: ignore[attr-defined]
            elif kind is ast.Tuple or kind is ast.List:
                todo += entry.elts  # type: ignore[attr-defined]
            elif kind is not ast.Constant:
                todo.extend(ast.iter_child_nodes(entry))
        return read

    def _attribute(self, node: ast.Attribute, read: set[str], todo: list[ast.AST]) -> None:
        if node.attr in SWITCHES:
            self.result.region = True
        elif self._is_own(node.value):
            read.add("." + node.attr)
        elif node.attr == "data":
            inside = self.reads(node.value)
            self.result.cuts |= inside
            read |= inside
        elif node.attr not in WITHOUT_VALUES_ATTRIBUTES:
            todo.append(node.value)

    def _call(self, node: ast.Call, read: set[str], todo: list[ast.AST]) -> None:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
        if name in SWITCHES:
            self.result.region = True
        if name in WITHOUT_VALUES or name in HARMLESS_CALLS:
            return
        if name == "getattr" and any(isinstance(entry, ast.Constant) and entry.value in CUTTING_METHODS | SWITCHES for entry in node.args):
            self.result.region = True
        own = self._own_method(function)
        arguments = self._arguments(node)
        known = Callee() if own else self.callee(function)
        passed = known.returns
        inside = set().union(*(names for place, names in arguments if passed is None or place in passed or place == -1))
        if own:
            self.result.calls.append((own, arguments))
            read.add("." + own)
        elif isinstance(function, ast.Attribute):
            inside |= self.reads(function.value)
        else:
            inside |= self.reads(function)
        if self._cuts(node, name):
            self.result.cuts |= inside
        elif not own:
            self._cut_by(known, arguments)
        if isinstance(function, ast.Attribute) and arguments:
            # The receiver may keep what it was given, as a list does.
            for changed in self._names(function.value):
                self._flow(changed, inside)
        read |= inside

    def _arguments(self, node: ast.Call) -> list[tuple[int | str, frozenset[str]]]:
        given: list[tuple[int | str, frozenset[str]]] = []
        for place, entry in enumerate(node.args):
            given.append((-1 if isinstance(entry, ast.Starred) else place, frozenset(self.reads(entry))))
        for keyword in node.keywords:
            given.append((keyword.arg or -1, frozenset(self.reads(keyword.value))))
        return given

    def _cuts(self, node: ast.Call, name: str) -> bool:
        if isinstance(node.func, ast.Name):
            return name in CUTTING_FUNCTIONS
        if name in CUTTING_METHODS or name in CUTTING_ATTRIBUTES:
            return True
        if name in CASTS:
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            return any(_names_integers(entry) for entry in given)
        root = node.func
        while isinstance(root, ast.Attribute):
            root = root.value
        return isinstance(root, ast.Name) and root.id in ARRAYS

    def _cut_by(self, known: Callee, arguments: list[tuple[int | str, frozenset[str]]]) -> None:
        self.result.region = self.result.region or known.region
        if known.everything:
            self.result.cuts.update(*(names for _, names in arguments))
        elif known.places:
            self.result.cuts.update(*(names for place, names in arguments if place in known.places or place == -1))


def _names_integers(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in INTEGER_TYPES
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.rpartition(".")[2] in INTEGER_TYPES
