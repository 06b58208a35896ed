"""Follows a value through Python arithmetic by reading the source: `aux = loss.item()` ... `total = ce + 0.1 * aux`.

Only within one function, and only forwards from a statement in which a value is seen to leave torch to one in which a number is seen to
come in: does the second statement's text depend on the first one's? Names are followed by assignment, whatever the order of branches.
"""

from __future__ import annotations

import ast
from types import CodeType

from gradflow.capture.facts.source import _span, parsed
from gradflow.capture.flow.calls import TENSOR_MAKERS
from gradflow.capture.flow.trace import Place


def line_of(place: Place) -> int:
    """The first line of the expression at `place`."""
    return _span(place.code, place.instruction)[0]


def depends(code: CodeType, leaving: Place, entering: Place, tensors: frozenset[int] = frozenset()) -> bool:
    """Whether the statement at `entering` uses what the expression at `leaving` gave, both in the function `code`.

    `tensors` are lines on which numbers were seen to go into a torch call: what such a statement assigns is a tensor, and followed as one.
    """
    key = (id(code), leaving.instruction, entering.instruction, tensors)
    if key not in _ANSWERS:
        _ANSWERS[key] = (code, _depends(code, leaving, entering, tensors))
    return _ANSWERS[key][1]


_ANSWERS: dict[tuple[int, int, int, frozenset[int]], tuple[CodeType, bool]] = {}
"""Answers by place: a loop asks the same thing in every round. The code stands beside, so that its identity stays its own."""


def _depends(code: CodeType, leaving: Place, entering: Place, tensors: frozenset[int]) -> bool:
    function = _function(code)
    if function is None:
        return False
    start = _statement(function, _span(code, leaving.instruction))
    end = _statement(function, _span(code, entering.instruction))
    if start is None or end is None:
        return False
    if start is end:
        return True
    carried = set() if _makes_tensor(start, tensors) else _targets(start)
    if not carried:
        return False
    used = _names(end)
    for _ in range(64):
        if carried & used:
            return True
        grown = set(carried)
        for node in ast.walk(function):
            if isinstance(node, ast.stmt) and not isinstance(node, _BLOCKS) and _names(node) & carried and not _makes_tensor(node, tensors):
                grown |= _targets(node)
            elif isinstance(node, (ast.For, ast.AsyncFor)) and _loaded(node.iter) & carried:
                grown |= _stored(node.target)
        if grown == carried:
            return False
        carried = grown
    return False


_FILLING = frozenset({"append", "extend", "add", "insert", "update"})
_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try)


def _function(code: CodeType) -> ast.AST | None:
    tree = parsed(code.co_filename)
    if tree is None or code.co_name == "<module>":
        return tree
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    return None


def _statement(function: ast.AST, span: tuple[int, int, int, int]) -> ast.stmt | None:
    """The innermost simple statement that holds the span."""
    found: ast.stmt | None = None
    for node in ast.walk(function):
        if isinstance(node, ast.stmt) and not isinstance(node, _BLOCKS) and node.lineno <= span[0] <= (node.end_lineno or node.lineno):
            found = node
    return found


def _targets(statement: ast.stmt) -> set[str]:
    """Names, and attributes or items as `self.x`, that a statement gives a value to; `xs.append(...)` gives one to `xs`."""
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Assign, ast.Delete)):
            for target in node.targets:
                found |= _stored(target)
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)):
            found |= _stored(node.target)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("append", "extend", "add", "insert", "update")
        ):
            found |= {_path(node.func.value)}
    return found - {""}


def _makes_tensor(statement: ast.stmt, tensors: frozenset[int]) -> bool:
    """Whether the statement turns numbers into a tensor."""
    if any(line in tensors for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)):
        return True
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TENSOR_MAKERS
        for node in ast.walk(statement)
    )


def _stored(target: ast.expr) -> set[str]:
    if isinstance(target, (ast.Tuple, ast.List)):
        return set().union(*(_stored(part) for part in target.elts))
    if isinstance(target, ast.Starred):
        return _stored(target.value)
    if isinstance(target, ast.Subscript):
        return {_path(target.value)}
    return {_path(target)}


def _path(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _path(node.value)
        return f"{base}.{node.attr}" if base else ""
    if isinstance(node, ast.Subscript):
        return _path(node.value)
    return ""


def _names(statement: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.add(_path(node))
        elif isinstance(node, ast.AugAssign):
            found |= _stored(node.target)
    return found - {""}


def _loaded(node: ast.AST) -> set[str]:
    return _names(node)
