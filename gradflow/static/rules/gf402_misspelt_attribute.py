"""GF402 from the source: a name of torch that is misspelt, or a method that is named and not called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Role, Severity
from gradflow.static.rules.base import Draft, FileFacts, found
from gradflow.static.scopes import Scope, blocks_of

CODE = "GF402"
NAME = "misspelt-attribute"

MISSPELT = {
    "require_grad": "requires_grad",
    "requires_grads": "requires_grad",
    "require_grads": "requires_grad",
    "requiers_grad": "requires_grad",
    "requries_grad": "requires_grad",
    "required_grad": "requires_grad",
    "requires_gard": "requires_grad",
    "reqires_grad": "requires_grad",
}
WORTH = re.compile("|".join(sorted(MISSPELT)))
NOT_CALLED = frozenset({"zero_grad", "backward", "step", "train", "eval", "requires_grad_", "detach_", "cuda"})
WITHOUT_CALL = re.compile(rf"\.(?:{'|'.join(sorted(NOT_CALLED))})\s*(?:#[^\n]*)?(?:\n|$)")


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each place."""
    text = facts.module.source.text
    if not WORTH.search(text) and not WITHOUT_CALL.search(text):
        return
    for scope in facts.scopes:
        for block in blocks_of(scope.body):
            for statement in block:
                yield from _in_statement(facts, scope, statement)


def _in_statement(facts: FileFacts, scope: Scope, statement: ast.stmt) -> Iterator[Draft]:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Attribute) and statement.value.attr in NOT_CALLED:
        name = ast.unparse(statement.value)
        yield _draft(facts, scope, statement.value, f"`{name}` is named and not called, so it does nothing", f"call it: `{name}()`")
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            is_tensor = isinstance(target, ast.Attribute) and not (isinstance(target.value, ast.Name) and target.value.id == "self")
            if isinstance(target, ast.Attribute) and is_tensor and target.attr in MISSPELT:
                right = MISSPELT[target.attr]
                text = f"`{target.attr}` is no attribute of a tensor, so the assignment does nothing"
                yield _draft(facts, scope, target, text, f"write `{ast.unparse(target.value)}.{right}`")


def _draft(facts: FileFacts, scope: Scope, node: ast.AST, message: str, advice: str) -> Draft:
    site = facts.module.source.site(node, scope.name)
    return Draft(found((CODE, NAME), Severity.WARNING, message, [(Role.CAUSE, site, "has no effect")], help=[advice]))
