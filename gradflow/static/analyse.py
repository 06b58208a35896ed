"""One file: its classes are followed where a word in them can stop a gradient, and every rule is asked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Finding, Role, Severity
from gradflow.static.classflow import follow_class
from gradflow.static.names import Class, Module, class_of
from gradflow.static.read import Source
from gradflow.static.relevance import BUILDS_IN_FORWARD, Relevance
from gradflow.static.rules.base import Draft, FileFacts, all_rules, found
from gradflow.static.scopes import scopes_of

SYNTAX = ("GF000", "unreadable-source")
ABOUT_TORCH = re.compile(r"torch|\bnn\b|lightning|Module")
BUILDING = ("__init__", "build", "_build", "make", "_make", "init", "_init", "reset", "_reset", "from_", "load", "_load", "setup")
"""Beginnings of the names of methods that build layers once."""
IN_PLAIN_CONTAINER = re.compile(r"self\.\w+(?:\s*:[^=\n]+)?\s*=\s*(?:\[|\{|list\(|dict\(|\()|self\.\w+\.append\(|self\.\w+\[[^\]]+\]\s*=")


def analyse(source: Source, relevance: Relevance) -> list[Draft]:
    """The findings in one file, sorted by place."""
    if source.error is not None:
        return [Draft(_unreadable(source))]
    if not ABOUT_TORCH.search(source.text) or source.tree is None:
        return []
    hierarchy = relevance.hierarchy
    module = hierarchy.package.add(source)
    facts = FileFacts(module, hierarchy, scopes=scopes_of(source.tree))
    for owner in classes_of(source.tree, module):
        if not hierarchy.lineage(owner).is_module:
            continue
        facts.modules.append(owner)
        if _worth_following(owner, relevance):
            flow = follow_class(relevance, owner)
            if flow is not None:
                facts.flows.append(flow)
    drafts = [draft for rule in all_rules() for draft in rule.find(facts)]
    return sorted(drafts, key=_place)


def classes_of(tree: ast.Module, module: Module) -> Iterator[Class]:
    """Every class of a file, those in functions and classes included."""
    todo: list[ast.stmt] = list(reversed(tree.body))
    while todo:
        statement = todo.pop()
        if isinstance(statement, ast.ClassDef):
            yield class_of(statement, module)
        for name in ("finalbody", "orelse", "body"):
            todo.extend(reversed(getattr(statement, name, None) or []))


def _worth_following(owner: Class, relevance: Relevance) -> bool:
    """Whether a gradient may stop in the class, or it builds layers where they are not registered or do not last."""
    init = owner.methods.get("__init__")
    segment = owner.module.source.segment
    if init is not None and IN_PLAIN_CONTAINER.search(segment(init)):
        return True
    running = [node for name, node in owner.methods.items() if not name.startswith(BUILDING)]
    if any(BUILDS_IN_FORWARD.search(segment(node)) for node in running):
        return True
    return relevance.worth_following(owner)


def _unreadable(source: Source) -> Finding:
    error = source.error
    assert error is not None
    node = ast.Pass(lineno=error.line, col_offset=max(error.column - 1, 0), end_lineno=error.line, end_col_offset=max(error.column, 1))
    return found(SYNTAX, Severity.ERROR, f"the file cannot be read: {error.message}", [(Role.CAUSE, source.site(node, "<module>"), "")])


def _place(draft: Draft) -> tuple[str, int, int, str, tuple[str, ...]]:
    cause = draft.finding.cause
    place = (cause.file, cause.line, cause.column) if cause is not None else ("", 0, 0)
    return (*place, draft.finding.code, draft.finding.parameters)
