"""One file: its classes are followed where a word in them can stop a gradient, and every rule is asked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from time import monotonic

from gradflow.report import Finding, Role, Severity
from gradflow.static.classes import makes_layers
from gradflow.static.classflow import ClassFlow, follow_class
from gradflow.static.machine import LONGEST
from gradflow.static.names import Class, Module, class_of
from gradflow.static.read import Source
from gradflow.static.relevance import Relevance
from gradflow.static.rules.base import Draft, FileFacts, all_rules, found, method_call
from gradflow.static.spelling import last_name
from gradflow.static.torch_names import LAYERS

SYNTAX = ("GF000", "unreadable-source")
ABOUT_TORCH = ("torch", "lightning", "Module")
NN = re.compile(r"\bnn\b")
BUILDING = ("__init__", "build", "_build", "make", "_make", "init", "_init", "reset", "_reset", "from_", "load", "_load", "setup")
"""Beginnings of the names of methods that build layers once."""
_SIMPLE = frozenset({ast.Assign, ast.Expr, ast.Return, ast.AnnAssign, ast.AugAssign, ast.Import, ast.ImportFrom, ast.Raise, ast.Assert})
"""Statements that hold no others."""
PLAIN = (ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
NEW_LAYER = re.compile(rf"(?<!self\.)\b(?:{'|'.join(sorted(LAYERS))}|Parameter)\(")
"""A layer that is made; `self.LayerNorm(x)` calls one."""
IN_PLAIN_CONTAINER = re.compile(r"self\.\w+(?:\s*:[^=\n]+)?\s*=\s*(?:\[|\{|list\(|dict\(|\()|self\.\w+\.append\(|self\.\w+\[[^\]]+\]\s*=")


def analyse(source: Source, relevance: Relevance) -> list[Draft]:
    """The findings in one file, sorted by place."""
    if source.error is not None:
        return [Draft(_unreadable(source))]
    about_torch = any(word in source.text for word in ABOUT_TORCH) or NN.search(source.text)
    if not about_torch or source.tree is None:
        return []
    hierarchy = relevance.hierarchy
    module = hierarchy.package.kept(source.path) or hierarchy.package.add(source)
    facts = FileFacts(module, hierarchy)
    facts.modules = [owner for owner in classes_of(source.tree, module) if hierarchy.lineage(owner).is_module]
    relevance.begin(monotonic() + LONGEST)
    facts.flows = _flows(facts.modules, relevance)
    drafts = [draft for rule in all_rules() for draft in rule.find(facts)]
    return sorted(drafts, key=_place)


def classes_of(tree: ast.Module, module: Module) -> Iterator[Class]:
    """Every class of a file, those in functions and classes included."""
    todo: list[ast.stmt] = list(reversed(tree.body))
    while todo:
        statement = todo.pop()
        kind = statement.__class__
        if kind in _SIMPLE:
            continue
        if kind is ast.ClassDef:
            yield class_of(statement, module)  # type: ignore[arg-type]
        for name in ("finalbody", "orelse", "body"):
            todo.extend(reversed(getattr(statement, name, None) or []))


def _flows(owners: list[Class], relevance: Relevance) -> list[ClassFlow]:
    """What becomes of the parameters of the classes that are worth following; a class after those that it holds."""
    flows: dict[Class, ClassFlow | None] = {}
    for owner in owners:
        for entry in (*reversed(relevance.held(owner)), owner):
            if entry in flows or entry not in owners:
                continue
            flows[entry] = follow_class(relevance, entry) if relevance.worth_following(entry) or _builds_oddly(entry, relevance) else None
            relevance.severs[entry] = bool(flow.severed) if (flow := flows[entry]) is not None else False
    return [flow for owner in owners if (flow := flows[owner]) is not None]


def _builds_oddly(owner: Class, relevance: Relevance) -> bool:
    """Whether the class may hold layers in a plain container, or make them in its methods."""
    init = owner.methods.get("__init__")
    segment = owner.module.source.segment
    if init is not None and IN_PLAIN_CONTAINER.search(segment(init)) and _fills_container(init, owner.module, relevance):
        return True
    source = owner.module.source
    running = [node for name, node in owner.methods.items() if not name.startswith(BUILDING)]
    return any(makes_layers(source.tokens(node), source, node) and NEW_LAYER.search(source.code(node)) for node in running)


def _fills_container(init: ast.AST, module: Module, relevance: Relevance) -> bool:
    """Whether something like a layer is made inside of a list, tuple or dict that is written out, or handed to `append`."""
    for node in ast.walk(init):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            stored = any(isinstance(target, ast.Subscript) for target in targets)
            value = node.value
            is_container = isinstance(value, PLAIN) or (isinstance(value, ast.Call) and last_name(value) in ("list", "dict", "tuple"))
            if (stored or is_container) and relevance.makes_layers(value, module):
                return True
        if isinstance(node, ast.Call) and method_call(node, "append", "extend", "insert") is not None:
            added = any(relevance.makes_layers(argument, module) for argument in node.args)
            if added:
                return True
    return False


def _unreadable(source: Source) -> Finding:
    error = source.error
    assert error is not None
    node = ast.Pass(lineno=error.line, col_offset=max(error.column - 1, 0), end_lineno=error.line, end_col_offset=max(error.column, 1))
    return found(SYNTAX, Severity.ERROR, f"the file cannot be read: {error.message}", [(Role.CAUSE, source.site(node, "<module>"), "")])


def _place(draft: Draft) -> tuple[str, int, int, str, tuple[str, ...]]:
    cause = draft.finding.cause
    place = (cause.file, cause.line, cause.column) if cause is not None else ("", 0, 0)
    return (*place, draft.finding.code, draft.finding.parameters)
