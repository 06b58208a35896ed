"""GF302 from the source: an optimizer is built from a model's parameters, and a layer of that model is replaced after it, in one scope."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Role, Severity
from gradflow.static.rules.base import Draft, FileFacts, found, walk_scope
from gradflow.static.rules.gf401_missing_zero_grad import OPTIMIZERS
from gradflow.static.scopes import Scope, blocks_of
from gradflow.static.spelling import label_of, last_name
from gradflow.static.torch_names import LAYERS

CODE = "GF302"
NAME = "stale-optimizer"

REPLACES = frozenset({"resize_token_embeddings"})
BUILDS = LAYERS | {"Parameter", "Sequential"}
REFRESHES = re.compile(r"add_param_group|param_groups")


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each replacement."""
    if ".parameters(" not in facts.module.source.text or REFRESHES.search(facts.module.source.text):
        return
    for scope in facts.scopes:
        for block in blocks_of(scope.body):
            yield from _in_block(facts, scope, block)


def _in_block(facts: FileFacts, scope: Scope, block: list[ast.stmt]) -> Iterator[Draft]:
    """Walks one block in order. Statements that hold another optimizer of the model below them make all that is known of it void."""
    held: dict[str, tuple[ast.Call, str]] = {}
    replaced: dict[str, tuple[ast.stmt, str]] = {}
    for statement in block:
        built = _optimizer(statement)
        if built is not None:
            model, call, name = built
            held[model] = (call, name)
            replaced.pop(model, None)
            continue
        if not isinstance(statement, ast.Assign | ast.Expr | ast.AnnAssign):
            for model in list(replaced):
                if _mentions(statement, f"{held[model][1]}.step"):
                    yield _draft(facts, scope, *replaced.pop(model), *held[model])
            continue
        found_model = _replacement(statement, held)
        if found_model is not None:
            replaced.setdefault(found_model[0], (statement, found_model[1]))
        for model in list(replaced):
            if _mentions(statement, f"{held[model][1]}.step"):
                yield _draft(facts, scope, *replaced.pop(model), *held[model])


def _optimizer(statement: ast.stmt) -> tuple[str, ast.Call, str] | None:
    """(model, call, optimizer) for `optimizer = Adam(model.parameters())`."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or not isinstance(statement.value, ast.Call):
        return None
    call = statement.value
    if not OPTIMIZERS.match(last_name(call.func)) or not call.args:
        return None
    first = call.args[0]
    if isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute) and first.func.attr == "parameters":
        return ast.unparse(first.func.value), call, ast.unparse(statement.targets[0])
    return None


def _replacement(statement: ast.stmt, held: dict[str, tuple[ast.Call, str]]) -> tuple[str, str] | None:
    """(model, what was replaced) where a statement puts new parameters into a model that an optimizer holds."""
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call) and last_name(statement.value.func) in BUILDS:
        for target in statement.targets:
            text = ast.unparse(target)
            for model in held:
                if isinstance(target, ast.Attribute | ast.Subscript) and text.startswith((f"{model}.", f"{model}[")):
                    return model, text
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and isinstance(statement.value.func, ast.Attribute):
        model = ast.unparse(statement.value.func.value)
        if statement.value.func.attr in REPLACES and model in held:
            return model, label_of(statement.value)
    return None


def _mentions(statement: ast.stmt, text: str) -> bool:
    return any(isinstance(node, ast.Attribute) and ast.unparse(node) == text for node in walk_scope(statement))


def _draft(facts: FileFacts, scope: Scope, statement: ast.stmt, what: str, optimizer: ast.Call, name: str) -> Draft:
    site = facts.module.source.site
    return Draft(
        found(
            (CODE, NAME),
            Severity.ERROR,
            f"`{what}` puts new parameters into the model after `{name}` was built, which holds the old ones",
            [
                (Role.CAUSE, site(statement, scope.name), "new parameters, which no optimizer holds"),
                (Role.DEFINITION, site(optimizer, scope.name), "took the parameters that were there then"),
            ],
            help=[f"build `{name}` after the model is complete, or add the new parameters with `{name}.add_param_group`"],
        )
    )
