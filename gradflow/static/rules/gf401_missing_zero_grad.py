"""GF401 from the source: a loop with `backward` and `step`, in a file in which nothing clears gradients."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Role, Severity
from gradflow.static.rules.base import Draft, FileFacts, calls_in, found, method_call, walk_scope
from gradflow.static.scopes import Scope
from gradflow.static.spelling import last_name

CODE = "GF401"
NAME = "missing-zero-grad"

CLEARS = re.compile(
    r"zero_grad|\.grad\s*=|\.grad\.(?:zero_|data)|autograd\.grad|dist_autograd|clear_grad|reset_grad|zero_gradients|set_to_none"
)
OPTIMIZERS = re.compile(r"^(?:SGD|Adam\w*|RMSprop|Adagrad|Adadelta|NAdam|RAdam|Rprop|ASGD|Lion|Adafactor|AdamW)$")


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each loop, the innermost one that holds both calls."""
    text = facts.module.source.text
    if ".backward(" not in text or ".step(" not in text or CLEARS.search(text):
        return
    for scope in facts.scopes:
        optimizers = _optimizers(facts, scope)
        for loop, steps in _loops(scope):
            inside = {ast.unparse(target) for node in walk_scope(loop) if isinstance(node, ast.Assign) for target in node.targets}
            held = [name for name in steps if name in optimizers and name not in inside]
            if held:
                yield _draft(facts, scope, loop, steps[held[0]], held[0])


def _optimizers(facts: FileFacts, scope: Scope) -> set[str]:
    """Names that the scope, or the top level of the file, binds to a new optimizer."""
    names = set()
    for body in {facts.scopes[0].body, scope.body}:
        for node in (entry for statement in body for entry in walk_scope(statement)):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and OPTIMIZERS.match(last_name(node.value.func)):
                names |= {ast.unparse(target) for target in node.targets}
    return names


def _loops(scope: Scope) -> Iterator[tuple[ast.For | ast.While | ast.AsyncFor, dict[str, ast.Call]]]:
    for node in (entry for statement in scope.body for entry in walk_scope(statement)):
        if not isinstance(node, ast.For | ast.While | ast.AsyncFor):
            continue
        inner = [entry for entry in walk_scope(node) if isinstance(entry, ast.For | ast.While | ast.AsyncFor) and entry is not node]
        calls = list(calls_in(node))
        steps = {ast.unparse(receiver): call for call in calls if (receiver := method_call(call, "step")) is not None and not call.args}
        if steps and any(method_call(call, "backward") is not None for call in calls) and not any(_holds_both(entry) for entry in inner):
            yield node, steps


def _holds_both(loop: ast.AST) -> bool:
    calls = list(calls_in(loop))
    return all(any(method_call(call, name) is not None for call in calls) for name in ("backward", "step"))


def _draft(facts: FileFacts, scope: Scope, loop: ast.AST, step: ast.Call, name: str) -> Draft:
    site = facts.module.source.site
    return Draft(
        found(
            (CODE, NAME),
            Severity.WARNING,
            f"the loop calls `{name}.step()`, and nothing in this file clears gradients: they may add up over all steps",
            [
                (Role.CAUSE, site(step, scope.name), "steps with the sum of all gradients so far"),
                (Role.DEFINITION, site(loop, scope.name, header=True), "no `zero_grad` in this loop"),
            ],
            help=[f"call `{name}.zero_grad()` once in each turn, before `backward`"],
        )
    )
