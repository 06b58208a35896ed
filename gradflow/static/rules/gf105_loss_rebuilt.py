"""GF105 from the source: a loss that is wrapped in a new tensor with `requires_grad=True`, and then has `backward` called on it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Role, Severity
from gradflow.static.rules.base import Draft, FileFacts, found, method_call, walk_scope
from gradflow.static.scopes import Scope
from gradflow.static.spelling import label_of, last_name

CODE = "GF105"
NAME = "loss-rebuilt"

WORTH = re.compile(r"requires_grad\s*=\s*True")
REBUILDS = frozenset({"tensor", "Tensor", "FloatTensor", "Variable", "as_tensor", "from_numpy"})
LOSS_LIKE = re.compile(r"(?:^|_)(?:loss|losses|cost|nll|err|error|criterion)(?:$|_|\d)", re.IGNORECASE)
KEEPS = frozenset({"mean", "sum", "to", "cuda", "float", "double", "item", "squeeze", "div", "mul", "add"})


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each rebuilding line."""
    if not WORTH.search(facts.module.source.text) or "backward" not in facts.module.source.text:
        return
    source = facts.module.source
    for scope in facts.scopes:
        text = source.text if isinstance(scope.node, ast.Module) else source.segment(scope.node)
        if "requires_grad" in text:
            yield from _in_scope(facts, scope)


def _in_scope(facts: FileFacts, scope: Scope) -> Iterator[Draft]:
    assigned = _assignments(scope)
    makes_loss = bool(LOSS_LIKE.search(scope.name.rpartition(".")[2]))
    for node in (entry for statement in scope.body for entry in walk_scope(statement)):
        receiver = node.value if makes_loss and isinstance(node, ast.Return) else method_call(node, "backward")
        if receiver is None:
            continue
        rebuilt = _origin(receiver, assigned, 0)
        if rebuilt is None:
            continue
        yield Draft(
            found(
                (CODE, NAME),
                Severity.ERROR,
                f"`{label_of(rebuilt)}` makes the loss a new leaf, so no parameter gets a gradient",
                [
                    (Role.CAUSE, facts.module.source.site(rebuilt, scope.name), "a new leaf: backward stops here"),
                    (Role.LEAK, facts.module.source.site(node, scope.name), "goes back no further than the new leaf"),
                ],
                help=["compute the loss from the tensors themselves: `torch.stack(losses).mean()`, or `sum(losses)`"],
            )
        )


def _assignments(scope: Scope) -> dict[str, list[ast.expr]]:
    """By name, all that the scope assigns to it."""
    found_values: dict[str, list[ast.expr]] = {}
    for node in (entry for statement in scope.body for entry in walk_scope(statement)):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found_values.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            found_values.setdefault(node.target.id, []).append(node.value)
    return found_values


def _origin(node: ast.expr, assigned: dict[str, list[ast.expr]], depth: int) -> ast.Call | None:
    """The rebuilding call that a value certainly comes from: along its last assignment, and through what keeps a value a leaf's child."""
    if depth > 6:
        return None
    if isinstance(node, ast.Name):
        values = assigned.get(node.id, [])
        origins = [_origin(value, assigned, depth + 1) for value in values if not _is_same(value, node.id)]
        return origins[-1] if origins and len(values) <= 2 else None
    if isinstance(node, ast.Call):
        if _rebuilds(node, assigned):
            return node
        if isinstance(node.func, ast.Attribute) and node.func.attr in KEEPS and not node.args:
            return _origin(node.func.value, assigned, depth + 1)
        return None
    if isinstance(node, ast.BinOp):
        if isinstance(node.right, ast.Constant):
            return _origin(node.left, assigned, depth + 1)
        return _origin(node.right, assigned, depth + 1) if isinstance(node.left, ast.Constant) else None
    return None


def _is_same(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def _rebuilds(node: ast.Call, assigned: dict[str, list[ast.expr]]) -> bool:
    """`torch.tensor(losses, requires_grad=True)` or `Variable(loss, requires_grad=True)`, where the argument is a loss."""
    if last_name(node.func) == "requires_grad_" and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
        inner = node.func.value
        return last_name(inner.func) in REBUILDS and bool(inner.args) and _is_loss(inner.args[0], assigned, 0)
    wanted = [keyword.value for keyword in node.keywords if keyword.arg == "requires_grad"]
    if last_name(node.func) not in REBUILDS or not node.args or not wanted:
        return False
    return isinstance(wanted[0], ast.Constant) and wanted[0].value is True and _is_loss(node.args[0], assigned, 0)


def _is_loss(node: ast.expr, assigned: dict[str, list[ast.expr]], depth: int) -> bool:
    """Whether an expression is a loss, or a list or a mean of losses: by its name, or by what made it."""
    if depth > 4 or isinstance(node, ast.Constant):
        return False
    if isinstance(node, ast.Name):
        if LOSS_LIKE.search(node.id):
            return True
        return any(_is_loss(value, assigned, depth + 1) for value in assigned.get(node.id, []))
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        if LOSS_LIKE.search(name) or name in ("cross_entropy", "binary_cross_entropy", "l1_loss"):
            return True
        return any(_is_loss(argument, assigned, depth + 1) for argument in node.args) and name in ("mean", "sum", "array", "stack", "float")
    if isinstance(node, ast.List | ast.Tuple):
        return any(_is_loss(entry, assigned, depth + 1) for entry in node.elts)
    if isinstance(node, ast.BinOp):
        return _is_loss(node.left, assigned, depth + 1) or _is_loss(node.right, assigned, depth + 1)
    if isinstance(node, ast.ListComp):
        return _is_loss(node.elt, assigned, depth + 1)
    if isinstance(node, ast.Attribute):
        return bool(LOSS_LIKE.search(node.attr)) or _is_loss(node.value, assigned, depth + 1)
    return False
