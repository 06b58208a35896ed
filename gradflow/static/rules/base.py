"""What a rule is, what it may read, and the words that the rules share."""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from gradflow.graph.site import Site
from gradflow.report import Evidence, Finding, FindingSite, Role, Severity
from gradflow.static.classes import Hierarchy
from gradflow.static.classflow import ClassFlow
from gradflow.static.names import Class, Module
from gradflow.static.scopes import Scope, scopes_of

TRAINS = re.compile(r"\.backward\(|\boptim\b|\.step\(|\btraining_step\b|\bTrainer\(")
"""In the text of a file that trains what it defines."""
TRAINING_WORDS = ("backward", "optim", "step(", "training_step", "Trainer")
"""One of them stands where TRAINS does; to look for each alone is thirty times as fast."""


@dataclass(slots=True)
class FileFacts:
    """All that is known of one file. `flows` are the classes that were followed, in the order of the source."""

    module: Module
    hierarchy: Hierarchy
    flows: list[ClassFlow] = field(default_factory=list)
    modules: list[Class] = field(default_factory=list)
    _scopes: list[Scope] = field(default_factory=list)

    @property
    def scopes(self) -> list[Scope]:
        """The scopes of the file, from the top."""
        if not self._scopes and self.module.source.tree is not None:
            self._scopes = scopes_of(self.module.source.tree)
        return self._scopes

    def function_at(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function whose lines hold `node`, None at the top level."""
        line = getattr(node, "lineno", 0)
        around = [
            scope.node for scope in self.scopes if not isinstance(scope.node, ast.Module) and scope.node.lineno <= line <= scope.last_line
        ]
        return max((entry for entry in around if not isinstance(entry, ast.Module)), key=lambda entry: entry.lineno, default=None)

    @property
    def trains(self) -> bool:
        """Whether the file trains what it defines."""
        text = self.module.source.text
        return any(word in text for word in TRAINING_WORDS) and bool(TRAINS.search(text))


@dataclass(frozen=True, slots=True)
class Draft:
    """A finding, and the word that takes it back if it stands in another file of the package: something may be read there by that name."""

    finding: Finding
    unless_read: str = ""


class Rule(Protocol):
    """One file of this folder."""

    CODE: str
    NAME: str

    def find(self, facts: FileFacts) -> Iterable[Draft]:
        """The findings of this rule in one file."""


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule of this folder, by code."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name.startswith("gf"))
    return tuple(cast(Rule, import_module(f"gradflow.static.rules.{name}")) for name in names)


def found(
    rule: tuple[str, str],
    severity: Severity,
    message: str,
    sites: Sequence[tuple[Role, Site, str]],
    *,
    parameters: Sequence[str] = (),
    reason: str | None = None,
    help: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Finding:
    """A finding that was read in the source. `rule` is its code and name."""
    return Finding(
        rule[0],
        rule[1],
        severity,
        message,
        tuple(parameters),
        sites=tuple(FindingSite(role, site, note) for role, site, note in sites),
        reason=reason,
        help=tuple(help),
        notes=tuple(notes),
        evidence=Evidence.SOURCE,
    )


def listed(names: Sequence[str], most: int = 4) -> str:
    """`a`, `b` and `c`; long lists are cut short.

    >>> listed(["lin0", "lin1"])
    '`lin0` and `lin1`'
    >>> listed(list("abcdef"))
    '`a`, `b`, `c` and 3 more'
    """
    shown = [f"`{name}`" for name in names]
    if len(shown) > most:
        return f"{', '.join(shown[: most - 1])} and {len(shown) - most + 1} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    """The calls below `node`, functions and classes that are defined in it left out."""
    for entry in walk_scope(node):
        if isinstance(entry, ast.Call):
            yield entry


def walk_scope(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and the nodes below it that belong to the same scope, in the order of the source: of a function that is defined, itself."""
    todo = [node]
    while todo:
        entry = todo.pop()
        yield entry
        if isinstance(entry, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        inside = [
            child
            for child in ast.iter_child_nodes(entry)
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)
        ]
        todo.extend(reversed(inside))


def method_call(node: ast.AST, *names: str) -> ast.expr | None:
    """The receiver of a call `receiver.name(...)` with one of `names`, None for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
        return node.func.value
    return None
