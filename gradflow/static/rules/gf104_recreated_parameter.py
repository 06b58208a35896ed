"""GF104 from the source: a layer with parameters, or a Parameter, that `forward` makes anew in every step.

What is kept on the object, made once behind a condition, given its weights by hand or made under `no_grad` is not reported, nor is what a
method makes that some decorator may call once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Role, Severity
from gradflow.static.rules.base import Draft, FileFacts, found
from gradflow.static.spelling import label_of, last_name

CODE = "GF104"
NAME = "recreated-parameter"

CALLS_EACH_TIME = frozenset({"no_grad", "enable_grad", "inference_mode", "staticmethod", "classmethod", "override", "autocast", "compile",
                             "typechecked", "jaxtyped", "beartype", "custom_fwd", "export", "unused"})  # fmt: skip
"""Decorators known to call what they are put on whenever it is called: any other may keep what it returned."""

REGISTERS = frozenset({"setattr", "append", "insert", "add_module", "register_parameter", "register_module"})
GIVEN_AWAY = (
    r"self\.[\w.\[\]]+\s*=\s*NAME\b|\bNAME\.(?:weight|bias|data|load_state_dict|requires_grad)\b|init\.\w+\(NAME\b|"
    r"\.(?:append|extend|insert|add)\([^\n]*\bNAME\b|setattr\([^\n]*\bNAME\b|\bNAME\.parameters"
)
"""In the text of a method: the new layer is kept, or has its weights from elsewhere."""


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each constructor call."""
    said: set[int] = set()
    for flow in facts.flows:
        rewrapped = {id(cut.node) for severed in flow.severed for cut in (flow.cuts[number] for number in severed.chain)}
        for node, module, function, trained in flow.built:
            if id(node) in said or id(node) in rewrapped or not trained or module is not facts.module:
                continue
            said.add(id(node))
            method = facts.function_at(node)
            if method is None or not _runs_each_time(method) or _kept(method, node, module.source.segment(method)):
                continue
            yield Draft(
                found(
                    (CODE, NAME),
                    Severity.ERROR,
                    f"`{label_of(node)}` is made anew in every call of `{function}`",
                    [(Role.CAUSE, module.source.site(node, function), "makes a new leaf in every step")],
                    help=["build it once, in `__init__`, and call it in `forward`"],
                    notes=[
                        "no optimizer can hold a leaf that lives for one step: what it learns is lost",
                        f"read in the class `{flow.owner.name}`, and not run",
                    ],
                )
            )


def _runs_each_time(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return all(last_name(entry) in CALLS_EACH_TIME for entry in method.decorator_list)


def _kept(method: ast.FunctionDef | ast.AsyncFunctionDef, node: ast.Call, text: str) -> bool:
    """Whether the new layer may outlive the call, or has weights that somebody gave it."""
    for statement in ast.walk(method):
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.NamedExpr) and statement.value is not None:
            if not any(entry is node for entry in ast.walk(statement.value)):
                continue
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if not all(isinstance(target, ast.Name) for target in targets):
                return True
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            if any(re.search(GIVEN_AWAY.replace("NAME", re.escape(name)), text) for name in names):
                return True
        registers = isinstance(statement, ast.Call) and last_name(statement.func) in REGISTERS
        if registers and any(entry is node for entry in ast.walk(statement)):
            return True
    return False
