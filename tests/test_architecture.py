"""Who may import whom in gradflow, read from the source. Imports inside functions and under TYPE_CHECKING count like any other.

Each check runs on the package, and on a few lines that break its rule: a check that cannot fail proves nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gradflow"

ROWS = (
    ("__main__",),
    ("cli",),
    ("cli_freeze", "cli_many"),
    ("cli_orders",),
    ("cli_pictures", "cli_lint"),
    ("cli_settings", "cli_screen", "cli_progress"),
    ("many", "joining"),
    ("",),  # gradflow/__init__.py, which hands out the public names
    ("api", "linting", "freezing"),
    ("pictures",),
    ("render", "capture", "checks", "static"),
    ("screening", "document", "views", "draw", "difference"),
    ("baseline", "focus"),
    ("report",),
    ("json_fields",),
    ("verdict", "cures"),
    ("graph",),
    ("settings",),
    ("selection", "suppression", "notebook_code"),
    ("errors",),
)
"""From the top: a part may import only what stands in a lower row, and of its own row only itself."""

ROW_OF = {part: number for number, row in enumerate(ROWS) for part in row}
LONGEST_FILE = 400  # lines
BROAD = {"Exception", "BaseException"}


def read_package() -> dict[str, ast.Module]:
    """The syntax tree of each module of gradflow, by dotted name."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("gradflow", *path.relative_to(PACKAGE).with_suffix("").parts)
        trees[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text("utf-8"))
    return trees


def imports_of(name: str, tree: ast.Module, known: set[str]) -> Iterator[str]:
    """What the module `name` imports: modules of `known` by their full name, all others as they are written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                is_package = any(other.startswith(name + ".") for other in known)
                above = name.split(".")[: len(name.split(".")) - node.level + is_package]
                base = ".".join([*above, base] if base else above)
            yield from (f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_module(node.func) and node.args and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def import_graph(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """By module, the modules of the package that it imports."""
    known = set(trees)
    return {name: {found for found in imports_of(name, tree, known) if found in known} for name, tree in trees.items()}


def part_of(module: str) -> str:
    """`gradflow.capture.training.session` belongs to `capture`, `gradflow` itself to the empty part."""
    return module.split(".")[1] if "." in module else ""


def upward_imports(graph: dict[str, set[str]]) -> list[str]:
    """Imports that go up, or sideways into another part of the same row."""
    wrong = []
    for module, imported in sorted(graph.items()):
        for other in sorted(imported):
            here, there = part_of(module), part_of(other)
            if here != there and ROW_OF[there] <= ROW_OF[here]:
                wrong.append(f"{module} imports {other}")
    return wrong


def cyclic_modules(graph: dict[str, set[str]]) -> list[str]:
    """Modules that stand in an import cycle, or between two: what is left when all at either end of the order have been taken away."""
    left = {module: set(imported) for module, imported in graph.items()}
    while True:
        wanted = {other for imported in left.values() for other in imported}
        free = {module for module, imported in left.items() if not imported or module not in wanted}
        if not free:
            return sorted(left)
        left = {module: imported - free for module, imported in left.items() if module not in free}


def silent_handlers(tree: ast.Module) -> list[int]:
    """Lines of `except` clauses that catch everything and neither raise nor do anything with what they caught."""
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and _is_silent(node)]


def _is_import_module(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(entry) for entry in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in BROAD)


def _is_silent(handler: ast.ExceptHandler) -> bool:
    inside = [node for statement in handler.body for node in ast.walk(statement)]
    raises = any(isinstance(node, ast.Raise) for node in inside)
    uses = handler.name is not None and any(isinstance(node, ast.Name) and node.id == handler.name for node in inside)
    return not raises and not uses


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return read_package()


def test_every_part_of_the_package_has_a_row(trees: dict[str, ast.Module]) -> None:
    assert {part_of(module) for module in trees} <= set(ROW_OF)


def test_no_module_imports_a_higher_row_or_a_neighbour(trees: dict[str, ast.Module]) -> None:
    assert upward_imports(import_graph(trees)) == []


def test_no_module_stands_in_an_import_cycle(trees: dict[str, ast.Module]) -> None:
    assert cyclic_modules(import_graph(trees)) == []


def test_only_capture_imports_torch(trees: dict[str, ast.Module]) -> None:
    known = set(trees)
    guilty = {module for module, tree in trees.items() if any(found.split(".")[0] == "torch" for found in imports_of(module, tree, known))}
    assert {part_of(module) for module in guilty} <= {"capture"}


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {path.relative_to(PACKAGE).as_posix(): len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_nothing_is_caught_broadly_and_forgotten(trees: dict[str, ast.Module]) -> None:
    assert {module: lines for module, tree in trees.items() if (lines := silent_handlers(tree))} == {}


def test_an_import_in_a_function_or_under_type_checking_is_seen() -> None:
    text = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from gradflow.capture.training.session import Session
def late():
    import torch.nn
    from gradflow import api
    from . import checks
    import_module("gradflow.render")
"""
    known = {"gradflow", "gradflow.api", "gradflow.capture.training.session", "gradflow.checks"}
    found = set(imports_of("gradflow.report", ast.parse(text), known))
    assert found == {"typing", "gradflow.capture.training.session", "torch.nn", "gradflow.api", "gradflow.checks", "gradflow.render"}


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("gradflow.graph.flow", "gradflow.report"),
        ("gradflow.checks.gf101", "gradflow.capture.training.session"),
        ("gradflow.api", "gradflow.cli"),
    ],
)
def test_an_import_upward_or_sideways_is_reported(module: str, other: str) -> None:
    assert upward_imports({module: {other}, other: set()}) == [f"{module} imports {other}"]


def test_a_cycle_of_three_modules_is_reported() -> None:
    assert cyclic_modules({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}) == ["a", "b", "c"]


@pytest.mark.parametrize("body", ["pass", "return None", "x = 1"])
@pytest.mark.parametrize("caught", ["", " Exception", " (ValueError, BaseException)", " Exception as error"])
def test_a_silent_broad_except_is_reported(caught: str, body: str) -> None:
    assert silent_handlers(ast.parse(f"def f():\n    try:\n        g()\n    except{caught}:\n        {body}\n")) == [4]


@pytest.mark.parametrize(
    "handler", ["except ValueError:\n    pass", "except Exception as e:\n    say(e)", "except BaseException:\n    raise"]
)
def test_a_narrow_or_speaking_except_is_not_reported(handler: str) -> None:
    assert silent_handlers(ast.parse(f"try:\n    g()\n{handler}\n")) == []
