"""The scopes of a file: its top level, and each function with the name that a report gives it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """Statements that share their names. `name` is qualified (`Net.forward`, `<module>`)."""

    name: str
    body: tuple[ast.stmt, ...]
    node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def last_line(self) -> int:
        """Where it ends, lines count from 1."""
        return getattr(self.node, "end_lineno", None) or (self.body[-1].end_lineno or 1 if self.body else 1)


def scopes_of(tree: ast.Module) -> list[Scope]:
    """Every scope of a file, from the top."""
    return [Scope("<module>", tuple(tree.body), tree), *_below(tree.body, "")]


def _below(body: list[ast.stmt], prefix: str) -> Iterator[Scope]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Scope(prefix + statement.name, tuple(statement.body), statement)
            yield from _below(statement.body, f"{prefix}{statement.name}.")
        elif isinstance(statement, ast.ClassDef):
            yield from _below(statement.body, f"{prefix}{statement.name}.")
        else:
            for name in ("body", "orelse", "finalbody"):
                yield from _below(getattr(statement, name, None) or [], prefix)
            for handler in getattr(statement, "handlers", ()):
                yield from _below(handler.body, prefix)


def blocks_of(body: tuple[ast.stmt, ...] | list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Every list of statements that run one after the other, nested ones included; not those of inner functions and classes."""
    yield list(body)
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, None)
            if inner:
                yield from blocks_of(inner)
        for handler in getattr(statement, "handlers", ()):
            yield from blocks_of(handler.body)
        for case in getattr(statement, "cases", ()):
            yield from blocks_of(case.body)
