"""Methods that have no part in what becomes of some attributes: whoever asks for these need not follow the methods."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from gradflow.static.callees import Callees
from gradflow.static.classes import Lineage
from gradflow.static.slices import FunctionNode
from gradflow.static.spelling import last_name

_SELF_ALONE = re.compile(r"\bself\b(?!\.\w)")
_CONSTANTS = (ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.Lambda)
"""Kinds of class attributes that have nothing of an object."""


def stands_by(callees: Callees, lineage: Lineage, name: str, bearing: Collection[str], others: Collection[str]) -> bool:
    """Whether the method `name` surely reads none of the attributes `bearing`, itself or through other methods of the object.

    `others` are the attributes that are known to bear nothing. Where the object itself is handed on, or asked for a name that
    is neither an attribute that is known nor a method, the answer is no.
    """
    todo, seen = [name], {name}
    while todo:
        name = todo.pop()
        for entry in lineage.classes:
            node = entry.methods.get(name)
            if node is None:
                continue
            text = callees.text_of(node, entry.module)
            if not _names_its_object(node) or len(_SELF_ALONE.findall(text)) > 1:
                return False
            tokens = entry.module.source.tokens(node)
            for used in callees.own_names(node, entry.module) - seen:
                if used in bearing or not _is_known(lineage, used, others, called_only=f".{used}" not in tokens):
                    return False
                seen.add(used)
                todo.append(used)
    return True


def _names_its_object(node: FunctionNode) -> bool:
    """Whether a function has its object under the usual name, or has none."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    return (bool(arguments) and arguments[0].arg == "self") or any(last_name(entry) == "staticmethod" for entry in node.decorator_list)


def _is_known(lineage: Lineage, name: str, others: Collection[str], *, called_only: bool) -> bool:
    """Whether what `self.name` is can be told: an attribute that bears nothing, a constant, or a method that is called at once."""
    if name in others:
        return True
    found = lineage.method(name)
    if found is not None:
        return called_only or any(last_name(entry) in ("property", "cached_property") for entry in found[1].decorator_list)
    constant = lineage.constant(name)
    return constant is not None and isinstance(constant[1], _CONSTANTS)
