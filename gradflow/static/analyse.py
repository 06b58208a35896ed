"""One file: its classes are followed where a word in them can stop a gradient, and every rule is asked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Role, Severity
from gradflow.static.calls import CUT_WORDS
from gradflow.static.classes import Hierarchy
from gradflow.static.classflow import follow_class
from gradflow.static.names import Class, Module, Package, class_of
from gradflow.static.read import Source
from gradflow.static.rules.base import Draft, FileFacts, all_rules, found
from gradflow.static.scopes import scopes_of

SYNTAX = ("GF000", "unreadable-source")
ABOUT_TORCH = re.compile(r"torch|\bnn\b|lightning|Module")
BUILDS = re.compile(r"\[|\{|Parameter\(|nn\.[A-Z]")


def analyse(source: Source, package: Package, hierarchy: Hierarchy) -> list[Draft]:
    """The findings in one file, sorted by place."""
    if source.error is not None:
        return [Draft(_unreadable(source))]
    if not ABOUT_TORCH.search(source.text) or source.tree is None:
        return []
    module = package.add(source)
    facts = FileFacts(module, hierarchy, scopes=scopes_of(source.tree))
    for owner in classes_of(source.tree, module):
        if hierarchy.lineage(owner).is_module and worth_following(owner, hierarchy):
            flow = follow_class(hierarchy, owner)
            if flow is not None:
                facts.flows.append(flow)
    drafts = [draft for rule in all_rules() for draft in rule.find(facts)]
    return sorted(drafts, key=_place)


def worth_following(owner: Class, hierarchy: Hierarchy) -> bool:
    """Whether the source of the class, or of a base, has a word in it that can stop a gradient, or builds layers in an odd place."""
    segments = [entry.module.source.segment(entry.node) for entry in hierarchy.lineage(owner).classes]
    return any(CUT_WORDS.search(text) for text in segments) or bool(segments and BUILDS.search(segments[0]))


def classes_of(tree: ast.Module, module: Module) -> Iterator[Class]:
    """Every class of a file, those in functions and classes included."""
    todo: list[ast.stmt] = list(reversed(tree.body))
    while todo:
        statement = todo.pop()
        if isinstance(statement, ast.ClassDef):
            yield class_of(statement, module)
        for name in ("finalbody", "orelse", "body"):
            todo.extend(reversed(getattr(statement, name, None) or []))


def _unreadable(source: Source):  # type: ignore[no-untyped-def]
    error = source.error
    assert error is not None
    node = ast.Pass(lineno=error.line, col_offset=max(error.column - 1, 0), end_lineno=error.line, end_col_offset=max(error.column, 1))
    return found(SYNTAX, Severity.ERROR, f"the file cannot be read: {error.message}", [(Role.CAUSE, source.site(node, "<module>"), "")])


def _place(draft: Draft) -> tuple[str, int, int, str, tuple[str, ...]]:
    cause = draft.finding.cause
    place = (cause.file, cause.line, cause.column) if cause is not None else ("", 0, 0)
    return (*place, draft.finding.code, draft.finding.parameters)
