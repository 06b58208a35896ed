"""Where each argument of `forward` goes: the layer that takes it first, or the dimensions that the code reads from it.

Reads the source of `forward`, of the model's own methods and of the layers that it hands the argument to; the model is built, so that
`self.embed.proj` is a layer that can be looked at.

    def forward(self, x, t):
        b, c, h, w = x.shape          # x has four dimensions, of these names
        x = self.stem(x.unsqueeze(1)) # or: x is what the stem takes, less one dimension
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from gradflow.capture.guess.sources import definition_of

_DEEPEST = 6
_SAME = frozenset({"to", "contiguous", "clone", "float", "double", "half", "detach", "type", "type_as", "cuda", "cpu", "requires_grad_",
                   "expand_as", "clamp", "relu", "long", "int"})  # fmt: skip
"""Methods of a tensor that leave its dimensions as they are."""

_LEAVES = (
    nn.modules.conv._ConvNd, nn.Embedding, nn.EmbeddingBag, nn.Linear, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention,
    nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to the dimensions on the way: `kind` is a tensor's method, `at` its whole numbers."""

    kind: str
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Destination:
    """`layer`: what takes the argument first, None where only its `dimensions` are read, names or numbers as text. `steps` come before.

    `of_one_rank`: this is what the code does with a tensor of so many dimensions, and it takes another number of them too.
    """

    layer: nn.Module | None = None
    dimensions: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    of_one_rank: bool = False

    def after(self, steps: tuple[Step, ...]) -> Destination:
        """The same, with what came before the way there."""
        return replace(self, steps=(*steps, *self.steps))


def destination(model: nn.Module, argument: str) -> Destination | None:
    """Where the argument of that name of `model.forward` goes first, None where the source does not tell."""
    return _in_function(model, model.forward, argument, 0)


def _in_function(owner: nn.Module, function: Callable[..., Any], argument: str, depth: int) -> Destination | None:
    tree = definition_of(inspect.unwrap(getattr(function, "__func__", function)))
    if not isinstance(tree, ast.FunctionDef) or depth >= _DEEPEST:
        return None
    walk = _Walk(owner, argument, depth, {} if depth else _switches(tree))
    return walk.body(tree.body) or (replace(walk.of_one_rank, of_one_rank=True) if walk.of_one_rank is not None else None)


class _Walk:
    """One function, statement by statement, for one of its arguments."""

    def __init__(self, owner: nn.Module, argument: str, depth: int, switches: Mapping[str, bool]) -> None:
        self.owner, self.depth, self.switches = owner, depth, switches
        self.names: dict[str, tuple[Step, ...]] = {argument: ()}
        self.locals: dict[str, ast.expr] = {}
        self.of_one_rank: Destination | None = None
        """What the code does only with a tensor of so many dimensions, which it may take with others too."""

    def body(self, statements: list[ast.stmt]) -> Destination | None:
        for statement in statements:
            found = self.statement(statement)
            if found is not None or not self.names:
                return found
        return None

    def statement(self, statement: ast.stmt) -> Destination | None:
        match statement:
            case ast.If(test=test) if self.asks_rank(test):
                before = dict(self.names), dict(self.locals)
                self.of_one_rank = self.of_one_rank or next(
                    (found for part in (statement.body, statement.orelse) if (found := self.body(part))), None
                )
                self.names, self.locals = before
                return None
            case ast.If(test=test, body=body, orelse=orelse):
                taken = self.known(test)
                parts = (body,) if taken else (orelse,) if taken is False else (body, orelse)
                return self.expression(test) or next((found for part in parts if (found := self.body(part))), None)
            case ast.For(target=ast.Name(id=target), iter=iterated, body=body):
                self.locals[target] = ast.Subscript(iterated, ast.Constant(0))
                return self.expression(iterated) or self.body(body)
            case ast.With(body=body) | ast.For(body=body) | ast.While(body=body) | ast.Try(body=body):
                return self.body(body)
            case ast.Assign(targets=[target], value=value):
                return self.assigned(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                return self.assigned(target, value)
            case ast.FunctionDef() | ast.ClassDef():
                return None
        return self.first(statement)

    def assigned(self, target: ast.expr, value: ast.expr) -> Destination | None:
        names = self.unpacked(target, value)
        if names is not None:
            return names
        found = self.expression(value)
        if found is not None:
            return found
        way = self.way(value)
        if isinstance(target, ast.Name):
            self.names.pop(target.id, None)
            if way is not None:
                self.names[target.id] = way
            else:
                self.locals[target.id] = value
        return None

    def unpacked(self, target: ast.expr, value: ast.expr) -> Destination | None:
        """`b, c, h, w = x.shape`"""
        if not isinstance(target, ast.Tuple) or any(isinstance(part, ast.Starred) for part in target.elts):
            return None
        match value:
            case ast.Attribute(value=tensor, attr="shape") | ast.Call(func=ast.Attribute(value=tensor, attr="size"), args=[]):
                way = self.way(tensor)
                if way is not None:
                    return Destination(dimensions=tuple(ast.unparse(part).split(".")[-1] for part in target.elts), steps=way)
        return None

    def expression(self, node: ast.expr) -> Destination | None:
        """The first use in an expression, in the order in which Python computes it."""
        if isinstance(node, ast.Lambda):
            return None
        return self.first(node) or (self.called(node) if isinstance(node, ast.Call) else None)

    def first(self, node: ast.AST) -> Destination | None:
        """The first use in the expressions that a node holds."""
        parts = [part.value if isinstance(part, ast.keyword) else part for part in ast.iter_child_nodes(node)]
        return next((found for part in parts if isinstance(part, ast.expr) and (found := self.expression(part))), None)

    def called(self, node: ast.Call) -> Destination | None:
        """`self.stem(x)`, `self.embed_all(x, mask)`, `rearrange(x, 'b c h w -> b (h w) c')`"""
        given: list[tuple[int | str, tuple[Step, ...]]] = [
            (index, way) for index, value in enumerate(node.args) if (way := self.way(value)) is not None
        ]
        given += [(entry.arg, way) for entry in node.keywords if entry.arg and (way := self.way(entry.value)) is not None]
        if not given:
            return None
        if (
            given[0][0] == 0
            and isinstance(node.func, ast.Name)
            and node.func.id in ("rearrange", "reduce", "repeat")
            and len(node.args) > 1
        ):
            return _of_pattern(node.args[1], given[0][1])
        target = self.value(node.func)
        if isinstance(target, nn.Module):
            return next((found.after(way) for where, way in given if (found := self.into(target, where))), None)
        method = getattr(target, "__func__", None)
        if method is not None and getattr(target, "__self__", None) is self.owner:
            return next((found.after(way) for where, way in given if (found := self.through(self.owner, target, where))), None)
        return None

    def through(self, owner: nn.Module, function: Callable[..., Any], where: int | str) -> Destination | None:
        """What another function does with its argument at that place."""
        names = list(inspect.signature(function).parameters)
        name = where if isinstance(where, str) else names[where] if where < len(names) else ""
        return _in_function(owner, function, name, self.depth + 1) if name else None

    def into(self, layer: nn.Module, where: int | str) -> Destination | None:
        """What a layer does with its argument at that place."""
        if isinstance(layer, nn.Sequential):
            return next((found for part in layer if (found := self.into(part, 0)) or not _leaves_as_is(part)), None)
        if isinstance(layer, _LEAVES) or normalized_width(layer):
            return Destination(layer) if where == 0 or isinstance(where, str) else None
        pattern = getattr(layer, "pattern", None)
        if isinstance(pattern, str):
            return _of_pattern(ast.Constant(pattern), ())
        return self.through(layer, layer.forward, where)

    def way(self, node: ast.expr) -> tuple[Step, ...] | None:
        """What the expression does to the argument, None where it is not the argument."""
        match node:
            case ast.Name(id=name):
                return self.names.get(name)
            case ast.Call(func=ast.Attribute(value=tensor, attr=kind), args=args):
                before = self.way(tensor)
                if before is None or kind in _SAME:
                    return before
                numbers = tuple(number for arg in args if (number := _number(arg)) is not None)
                if kind in ("unsqueeze", "transpose", "permute") and len(numbers) == len(args):
                    return (*before, Step(kind, numbers))
                return None
            case ast.BinOp(left=left, right=right):
                ways = [way for side in (left, right) if (way := self.way(side)) is not None]
                return ways[0] if len(ways) == 1 and isinstance(right if self.way(left) is not None else left, ast.Constant) else None
        return None

    def value(self, node: ast.expr) -> Any:
        """The object that `self.a.b[0]` or a local name for it is, None where it cannot be told."""
        match node:
            case ast.Name(id="self"):
                return self.owner
            case ast.Name(id=name):
                held = self.locals.pop(name, None)
                found = self.value(held) if held is not None else None
                if held is not None:
                    self.locals[name] = held
                return found
            case ast.Attribute(value=inner, attr=attr):
                return getattr(self.value(inner), attr, None)
            case ast.Subscript(value=inner, slice=index):
                held = self.value(inner)
                number = _number(index)
                if isinstance(held, (nn.ModuleList, nn.Sequential, list, tuple)) and len(held):
                    return held[number if number is not None and -len(held) <= number < len(held) else 0]
            case ast.Call(func=ast.Name(id="enumerate" | "zip" | "reversed"), args=[first, *_]):
                return self.value(first)
        return None

    def asks_rank(self, test: ast.expr) -> bool:
        """Whether a test is about the number of dimensions of the argument: `x.ndim == 2`, `x.dim() == 2`, `len(x.shape) == 2`."""
        for node in ast.walk(test):
            match node:
                case ast.Attribute(value=tensor, attr="ndim") | ast.Call(func=ast.Attribute(value=tensor, attr="dim"), args=[]):
                    pass
                case ast.Call(func=ast.Name(id="len"), args=[ast.Attribute(value=tensor, attr="shape")]):
                    pass
                case _:
                    continue
            if self.way(tensor) is not None:
                return True
        return False

    def known(self, test: ast.expr) -> bool | None:
        """What a test on the model's own attributes comes to, None where it asks for something else."""
        match test:
            case ast.Name(id=name) if name in self.switches and name not in self.locals:
                return self.switches[name]
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                known = self.known(inner)
                return None if known is None else not known
            case ast.Attribute():
                found = self.value(test)
                return bool(found) if isinstance(found, (bool, int, str)) else None
            case ast.Compare(left=ast.Attribute() as left, ops=[ast.Is() | ast.IsNot() as how], comparators=[ast.Constant(value=None)]):
                root = left
                while isinstance(root, ast.Attribute):
                    root = root.value  # type: ignore[assignment]
                if isinstance(root, ast.Name) and root.id == "self":
                    return (self.value(left) is None) == isinstance(how, ast.Is)
            case ast.Compare(left=ast.Name(id=name), ops=[ast.Is() | ast.IsNot() as how], comparators=[ast.Constant(value=None)]):
                return isinstance(how, ast.IsNot) if name in self.names else None
        return None


def _switches(function: ast.FunctionDef) -> dict[str, bool]:
    """The arguments of the model's own `forward` that are on or off by default, which a guessed call leaves as they are."""
    plain, named = function.args, function.args.kwonlyargs
    given = [
        *zip((*plain.posonlyargs, *plain.args)[-len(plain.defaults) :], plain.defaults, strict=False),
        *zip(named, plain.kw_defaults, strict=True),
    ]
    return {entry.arg: value.value for entry, value in given if isinstance(value, ast.Constant) and isinstance(value.value, bool)}


def normalized_width(layer: nn.Module) -> int:
    """The last size that a norm of the user's own takes, told by its weight; 0 where it is no such layer."""
    weight = getattr(layer, "weight", None)
    is_own = "Norm" in type(layer).__name__ and not type(layer).__module__.startswith("torch.")
    return weight.shape[0] if is_own and isinstance(weight, torch.Tensor) and weight.dim() == 1 else 0


def _number(node: ast.expr) -> int | None:
    try:
        found = ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _leaves_as_is(layer: nn.Module) -> bool:
    """Whether a layer before the first that tells something lets the dimensions be."""
    return isinstance(layer, (nn.Identity, nn.Dropout, nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid))


def _of_pattern(pattern: ast.expr, way: tuple[Step, ...]) -> Destination | None:
    """`'b c (h p1) (w p2) -> b (h w) (p1 p2 c)'`: four dimensions."""
    text = pattern.value if isinstance(pattern, ast.Constant) and isinstance(pattern.value, str) else ""
    parts = re.findall(r"\([^)]*\)|\S+", text.partition("->")[0])
    if "->" not in text or "..." in parts:
        return None
    return Destination(dimensions=tuple(_first_word(part) for part in parts), steps=way)


def _first_word(part: str) -> str:
    return part.strip("() ").split(" ")[0] or "1"


def undone(sizes: tuple[int, ...], steps: tuple[Step, ...]) -> Iterator[tuple[int, ...]]:
    """The sizes that become `sizes` by way of the steps; nothing where the steps do not fit them."""
    for step in reversed(steps):
        rank = len(sizes)
        at = [index + rank if index < 0 else index for index in step.at]
        if not all(0 <= index < rank for index in at) or not at:
            return
        match step.kind:
            case "unsqueeze":
                sizes = (*sizes[: at[0]], *sizes[at[0] + 1 :])
            case "transpose" if len(at) == 2:
                order = list(range(rank))
                order[at[0]], order[at[1]] = order[at[1]], order[at[0]]
                sizes = tuple(sizes[index] for index in order)
            case "permute" if sorted(at) == list(range(rank)):
                sizes = tuple(sizes[at.index(index)] for index in range(rank))
            case _:
                return
    yield sizes
