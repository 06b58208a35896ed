"""The failing line, or the test that it raises for, says which size it wants: `assert x.shape[2] == self.heads * self.width`.

A size that a variable holds is one too: `b, n = x.shape` above `assert n == self.length`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gradflow.capture.guess.attempt import Failure, Spot
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.conditions import stated_at, value_at
from gradflow.capture.guess.sizes import Sizes
from gradflow.capture.guess.sources import function_at


@dataclass(frozen=True, slots=True)
class _Read:
    """Sizes of a tensor that an expression reads: the tensor's name and all its sizes, and which of them."""

    name: str
    whole: tuple[int, ...]
    indices: tuple[int, ...]


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Each tensor of the compared sizes, in those that they are compared with."""
    tensors = call.tensors()
    for spot in reversed(failure.own):
        wanted = list(_wanted(spot))
        for read, new in wanted:
            # the variable may be called otherwise than the argument: it is the same if it is as large in every dimension
            same = [read.name] if read.name in tensors else [name for name, shape in tensors.items() if shape.sizes == read.whole]
            for name in same:
                shape = tensors[name]
                if all(-len(shape.sizes) <= index < len(shape.sizes) for index in read.indices):
                    for index, size in zip(read.indices, new, strict=True):
                        shape = shape.with_size(index, size)
                    yield call.with_argument(name, shape.text)
        if wanted:
            return


def _wanted(spot: Spot) -> Iterator[tuple[_Read, tuple[int, ...]]]:
    """What is read and what it should be, for each comparison of sizes of a tensor."""
    for test, holds in stated_at(spot):
        for node in ast.walk(test):
            if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq if holds else ast.NotEq):
                for side, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
                    read, value = _read(side, spot), value_at(other, spot)
                    new = tuple(value) if isinstance(value, (tuple, list)) else (value,)
                    is_size = all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in new)
                    if read is not None and is_size and len(new) == len(read.indices):
                        yield read, new


def _read(node: ast.expr, spot: Spot) -> _Read | None:
    """What `x.shape[1]`, `x.size(1)`, `shape[axis]`, `x.shape[1:]` or a variable reads; None where it is nothing of the kind."""
    match node:
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id=name), attr="shape") as whole, slice=index):
            pass
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name) as whole, attr="size"), args=[index]):
            pass
        case ast.Subscript(value=ast.Name() as whole, slice=index):
            name = ""
        case ast.Call(func=ast.Name(id="tuple" | "list"), args=[inner]):
            return _read(inner, spot)
        case ast.Name():
            return next((found for read in _assigned(node.id, spot) if (found := _read(read, spot)) is not None), None)
        case _:
            return None
    found = value_at(whole, spot)
    sizes = tuple(found.shape) if isinstance(found, torch.Tensor) else tuple(found) if isinstance(found, torch.Size) else None
    if sizes is None:
        return None
    if isinstance(index, ast.Slice):
        places = ast.Tuple([ast.Constant(place) for place in range(len(sizes))], ast.Load())
        several = value_at(ast.Subscript(places, index, ast.Load()), spot)
        return _Read(name, sizes, several) if several else None
    at = value_at(index, spot)
    return _Read(name, sizes, (at,)) if isinstance(at, int) else None


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
