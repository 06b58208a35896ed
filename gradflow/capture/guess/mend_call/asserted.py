"""The failing line, or the test that it raises for, says which size it wants: `assert x.shape[2] == self.heads * self.width`.

A size that a variable holds is one too: `b, n = x.shape` above `assert n == self.length`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import torch

from gradflow.capture.guess.attempt import Failure, Spot, attempt
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.conditions import stated_at
from gradflow.capture.guess.expressions import evaluate
from gradflow.capture.guess.sizes import Sizes
from gradflow.capture.guess.sources import function_at

_SECONDS = 1.0


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Each tensor of the compared sizes, in the size that it is compared with."""
    tensors = call.tensors()
    for spot in reversed(failure.own):
        wanted = list(_wanted(spot))
        for name, whole, index, size in wanted:
            # the variable may be called otherwise than the argument: it is the same if it is as large in every dimension
            same = [name] if name in tensors else [other for other, shape in tensors.items() if shape.sizes == whole]
            for known in same:
                if -len(tensors[known].sizes) <= index < len(tensors[known].sizes):
                    yield call.with_argument(known, tensors[known].with_size(index, size).text)
        if wanted:
            return


def _wanted(spot: Spot) -> Iterator[tuple[str, tuple[int, ...], int, int]]:
    """(name of the tensor, its sizes, the dimension, the size it should have) for each comparison of one size of a tensor."""
    for test, holds in stated_at(spot):
        for node in ast.walk(test):
            if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq if holds else ast.NotEq):
                for side, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
                    size, read = _value(other, spot), _size(side, spot)
                    if read is not None and isinstance(size, int) and not isinstance(size, bool) and size > 0:
                        yield *read, size


def _size(node: ast.expr, spot: Spot) -> tuple[str, tuple[int, ...], int] | None:
    """(name of the tensor, its sizes, the dimension) of `x.shape[1]`, `x.size(1)`, `shape[axis]`; None where it is nothing of the kind."""
    match node:
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id=name), attr="shape") as whole, slice=index):
            pass
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name) as whole, attr="size"), args=[index]):
            pass
        case ast.Subscript(value=ast.Name() as whole, slice=index):
            name = ""
        case ast.Name():
            return next((found for read in _assigned(node.id, spot) if (found := _size(read, spot)) is not None), None)
        case _:
            return None
    found, at = _value(whole, spot), _value(index, spot)
    sizes = tuple(found.shape) if isinstance(found, torch.Tensor) else tuple(found) if isinstance(found, torch.Size) else None
    return (name, sizes, at) if sizes is not None and isinstance(at, int) else None


def _assigned(name: str, spot: Spot) -> Iterator[ast.expr]:
    """What the function above assigns to the name, the sizes of an unpacked shape one by one: `b, n = x.shape`."""
    function = function_at(spot.file, spot.line)
    for node in ast.walk(function) if function is not None else ():
        if not isinstance(node, ast.Assign) or node.lineno >= spot.line:
            continue
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and target.id == name and not isinstance(value, ast.Name):
            yield value
        elif isinstance(target, (ast.Tuple, ast.List)):
            names = [part.id if isinstance(part, ast.Name) else "" for part in target.elts]
            first = value.elts[0] if isinstance(value, ast.Tuple) and value.elts else value
            shape = first.value if isinstance(first, ast.Starred) else first
            if name in names:
                yield ast.Subscript(value=_shape_of(shape), slice=ast.Constant(names.index(name)), ctx=ast.Load())


def _shape_of(node: ast.expr) -> ast.expr:
    """`x.size()` as `x.shape`."""
    match node:
        case ast.Call(func=ast.Attribute(value=tensor, attr="size"), args=[]):
            return ast.Attribute(value=tensor, attr="shape", ctx=ast.Load())
    return node


def _value(node: ast.expr, spot: Spot) -> Any:
    """What the expression is in the frame, None where it cannot be told."""
    return attempt(lambda: evaluate(ast.unparse(node), {**spot.scope, **spot.variables}), _SECONDS)[0]
