"""GF102 from the source: a layer that `__init__` makes, and that no file of the package ever reads.

The name of the attribute occurs nowhere but where it is assigned: not as an attribute, not in a string, not in a comment. A class whose
attributes may be read by other means (`getattr`, `children`, a base class that is not known) is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Finding, Role, Severity
from gradflow.static.names import Class
from gradflow.static.rules.base import Draft, FileFacts, found
from gradflow.static.spelling import last_name
from gradflow.static.torch_names import LAYERS

CODE = "GF102"
NAME = "unused-parameter"

BY_OTHER_MEANS = re.compile(
    r"getattr\(\s*self|\b_modules\b|\.children\(|named_children|__dict__|vars\(self|\beval\(|\bexec\(|__getattr__|locals\(|get_submodule|"
    r"\bself\.modules\(|named_modules"
)
SAYS_SO = re.compile(r"unused|not used|compat|checkpoint|legacy|placeholder|dummy|noqa|keep|load", re.IGNORECASE)
TRAINED = LAYERS | {"Parameter"}


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each attribute."""
    text = facts.module.source.text
    for owner in facts.modules:
        init = owner.methods.get("__init__")
        if init is None or "forward" not in owner.methods or facts.hierarchy.lineage(owner).strangers:
            continue
        segment = facts.module.source.segment(owner.node)
        for node, attribute, layer in _layers(init):
            # Most are read a few lines further down, so that is where to look first.
            if _occurs(attribute, text, facts.module.source.offset(node.end_lineno or node.lineno)) or _occurs(attribute, text, 0, most=1):
                continue
            lines = facts.module.source.line(node.lineno) + facts.module.source.line(node.lineno - 1)
            if not BY_OTHER_MEANS.search(_with_bases(facts, owner, segment)) and not SAYS_SO.search(lines):
                yield Draft(_finding(facts, owner, node, attribute, layer), unless_read=attribute)


def _occurs(name: str, text: str, start: int, most: int = 0) -> bool:
    """Whether `name` stands more than `most` times, as a word of its own, in `text` from `start` on."""
    times, length = 0, len(name)
    place = text.find(name, start)
    while place >= 0:
        before, after = text[place - 1 : place], text[place + length : place + length + 1]
        times += not (before.isalnum() or before == "_" or after.isalnum() or after == "_")
        if times > most:
            return True
        place = text.find(name, place + length)
    return False


def _with_bases(facts: FileFacts, owner: Class, segment: str) -> str:
    bases = facts.hierarchy.lineage(owner).classes[1:]
    return "\n".join([segment, *(entry.module.source.segment(entry.node) for entry in bases)])


def _layers(init: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[ast.Assign, str, str]]:
    """Layers with parameters that are assigned to attributes without a condition."""
    for node in init.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call):
            target, layer = node.targets[0], last_name(node.value.func)
            is_own = isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
            frozen = any(keyword.arg == "requires_grad" for keyword in node.value.keywords)
            if isinstance(target, ast.Attribute) and is_own and layer in TRAINED and not frozen:
                yield node, target.attr, layer


def _finding(facts: FileFacts, owner: Class, node: ast.Assign, attribute: str, layer: str) -> Finding:
    return found(
        (CODE, NAME),
        Severity.WARNING,
        f"`{attribute}` ({layer}) is never used: no file of the package reads it",
        [(Role.DEFINITION, facts.module.source.site(node, f"{owner.name}.__init__"), "defined here, and read nowhere")],
        parameters=[attribute],
        help=[f"use `self.{attribute}` in `forward`, or delete it"],
        notes=[f"read in the class `{owner.name}`, and not run"],
    )
