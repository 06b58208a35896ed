"""GF403 from the source: a loss that is only computed under `no_grad`, and then has `backward` called on it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Role, Severity
from gradflow.static.rules.base import Draft, FileFacts, found, method_call, walk_scope
from gradflow.static.scopes import Scope
from gradflow.static.spelling import last_name

CODE = "GF403"
NAME = "backward-without-graph"

OFF = frozenset({"no_grad", "inference_mode"})
WORTH = re.compile(r"no_grad|inference_mode")


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each `backward`."""
    text = facts.module.source.text
    if ".backward(" not in text or not WORTH.search(text):
        return
    for scope in facts.scopes:
        yield from _in_scope(facts, scope)


def _in_scope(facts: FileFacts, scope: Scope) -> Iterator[Draft]:
    off: dict[str, ast.With] = {}
    on: set[str] = set()
    for statement in scope.body:
        _sort_names(statement, None, off, on)
    for node in (entry for statement in scope.body for entry in walk_scope(statement)):
        receiver = method_call(node, "backward")
        if isinstance(receiver, ast.Name) and receiver.id in off and receiver.id not in on:
            block = off[receiver.id]
            site = facts.module.source.site
            yield Draft(
                found(
                    (CODE, NAME),
                    Severity.WARNING,
                    f"`{receiver.id}` is computed without a graph, so `{receiver.id}.backward()` has nothing to go back through",
                    [
                        (Role.CAUSE, site(block, scope.name, header=True), "autograd records nothing in this block"),
                        (Role.LEAK, site(node, scope.name), "has no graph to go back through"),
                    ],
                    help=["compute the loss outside of the block"],
                )
            )


def _sort_names(node: ast.stmt, block: ast.With | None, off: dict[str, ast.With], on: set[str]) -> None:
    """Names that are computed in a block without gradients go to `off`, all others to `on`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    if isinstance(node, ast.With):
        kinds = {last_name(item.context_expr) for item in node.items}
        # What switches gradients on again, or a context that is not known, is taken to do so.
        block = node if kinds & OFF else block if kinds <= {"autocast", "open", "tqdm"} else None
    for target in _targets(node):
        computes = block is not None and isinstance(getattr(node, "value", None), ast.Call | ast.BinOp)
        if computes and block is not None:
            off.setdefault(target, block)
        else:
            on.add(target)
    for name in ("body", "orelse", "finalbody"):
        for inner in getattr(node, name, None) or []:
            _sort_names(inner, block, off, on)
    for handler in getattr(node, "handlers", ()):
        for inner in handler.body:
            _sort_names(inner, block, off, on)


def _targets(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [entry.id for target in targets if target is not None for entry in ast.walk(target) if isinstance(entry, ast.Name)]
