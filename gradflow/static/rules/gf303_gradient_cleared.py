"""GF303 from the source: `zero_grad` and then `step` of the same optimizer, on one straight way on which nothing computes gradients."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradflow.report import Role, Severity
from gradflow.static.rules.base import Draft, FileFacts, found, method_call, walk_scope
from gradflow.static.scopes import blocks_of
from gradflow.static.spelling import last_name

CODE = "GF303"
NAME = "gradient-cleared"

HARMLESS = frozenset({"print", "clip_grad_norm_", "clip_grad_value_", "unscale_", "parameters", "item", "append", "len", "format", "info"})
"""Calls that compute no gradients."""


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each `zero_grad`."""
    text = facts.module.source.text
    if "zero_grad" not in text or ".backward(" not in text:
        return
    for scope in facts.scopes:
        for block in blocks_of(scope.body):
            yield from _in_block(facts, scope.name, block)


def _in_block(facts: FileFacts, scope: str, block: list[ast.stmt]) -> Iterator[Draft]:
    cleared: dict[str, ast.AST] = {}
    for statement in block:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if call is None or not isinstance(call, ast.Call):
            if any(isinstance(node, ast.Call) and last_name(node.func) not in HARMLESS for node in walk_scope(statement)):
                cleared = {}
            continue
        receiver = method_call(call, "zero_grad")
        if receiver is not None:
            cleared[ast.unparse(receiver)] = call
            continue
        receiver = method_call(call, "step")
        if receiver is not None and not call.args:
            name = ast.unparse(receiver)
            if name in cleared:
                yield _draft(facts, scope, cleared[name], call, name)
            cleared.pop(name, None)
            continue
        if last_name(call.func) not in HARMLESS:
            cleared = {}  # whatever is called may compute gradients


def _draft(facts: FileFacts, scope: str, cleared: ast.AST, step: ast.AST, name: str) -> Draft:
    site = facts.module.source.site
    return Draft(
        found(
            (CODE, NAME),
            Severity.ERROR,
            f"`{name}.zero_grad()` clears the gradients, and nothing computes new ones before `{name}.step()`",
            [
                (Role.CAUSE, site(cleared, scope), "clears what backward has computed"),
                (Role.LEAK, site(step, scope), "steps without a gradient"),
            ],
            help=[f"call `{name}.zero_grad()` before `backward`, or after `{name}.step()`"],
        )
    )
