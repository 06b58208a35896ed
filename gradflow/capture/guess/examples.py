"""Calls of the file's classes that somebody has written down: in the file, in docstrings, in a README or tests beside it. Only reads text.

`model = Net(dim=64); out = model(torch.randn(2, 3, 32, 32))` tells both how `Net` is built and what it takes.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"```(?:py|python|pycon)?[^\n`]*\n(.*?)```", re.DOTALL)
_LONGEST_TEXT = 400_000  # characters of one neighbouring file that are looked at
_MOST_TESTS = 30
_ROOT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True, slots=True)
class Example:
    """One construction, and the calls that the same block makes of what was built.

    `assigned`: the block's own simple assignments. `inside`: it stands in a class, which is built from what it makes.
    """

    callee: str
    built: ast.Call
    calls: tuple[ast.Call, ...]
    assigned: Mapping[str, ast.expr] = field(compare=False)
    place: str
    inside: bool = False


def find_examples(source: str, file: str, names: frozenset[str]) -> list[Example]:
    """Every example for a callee in `names` in the file itself, those of its code before those of its docstrings."""
    found = list(_examples_in(source, f"{Path(file).name}", names))
    for text in docstrings(source):
        for block in code_blocks(text):
            found += _examples_in(block, f"a docstring of {Path(file).name}", names)
    return found


def find_further_examples(file: str, names: frozenset[str]) -> list[Example]:
    """Every example for a callee in `names` that lies beside the file: in READMEs, tests and the description of its package."""
    found: list[Example] = []
    for place, block in _neighbours(Path(file), names):
        found += (example for example in _examples_in(block, place, names) if _means_this_file(block, example.callee, Path(file)))
    return found


def mentions(file: str, names: frozenset[str]) -> set[str]:
    """Those of `names` that a README near the file calls."""
    texts = [text for folder in Path(file).parents[:3] for readme in sorted(folder.glob("README*"))[:2] for text in [_text(readme)]]
    return {name for name in names if any(re.search(rf"\b{re.escape(name)}\(", text) for text in texts)}


def docstrings(source: str) -> Iterator[str]:
    """The docstrings of a file, and texts that stand alone in it."""
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def code_blocks(text: str) -> Iterator[str]:
    """The pieces of a text that are code: fenced, after `>>>`, or indented."""
    fenced = [textwrap.dedent(match) for match in _FENCE.findall(text)]
    for block in fenced:
        yield _without_prompts(block) if ">>>" in block else block
    if not fenced and ">>>" in text:
        yield _without_prompts(text)
    elif not fenced:
        lines = textwrap.dedent(text).splitlines()
        code = [line.strip() for line in lines if re.match(r"\s+[A-Za-z_][\w.]*\s*=\s*[A-Za-z_][\w.]*\(.*\)\s*$", line)]
        if code:
            yield "\n".join(code)


def _without_prompts(text: str) -> str:
    lines = [re.sub(r"^\s*(>>>|\.\.\.) ?", "", line) for line in text.splitlines() if re.match(r"^\s*(>>>|\.\.\.)", line)]
    return "\n".join(lines)


def _examples_in(text: str, place: str, names: frozenset[str]) -> Iterator[Example]:
    if not any(name in text for name in names):
        return
    tree = _parsed(text)
    for block, inside in _blocks(tree):
        yield from _examples_of_block(block, place, names, inside)


def _parsed(text: str) -> ast.Module:
    """The tree of a text, of its lines that can be read where the whole cannot."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        pass
    body: list[ast.stmt] = []
    for piece in re.split(r"\n(?=\S)", text):
        try:
            body += ast.parse(textwrap.dedent(piece)).body
        except (SyntaxError, ValueError):
            continue  # prose, or a shell line: no example stands in it
    return ast.Module(body, [])


def _blocks(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], bool]]:
    """Statement lists that share variables, the module's (with what its `if` and `for` hold) and each function's; whether in a class."""
    yield _flat(tree.body), False
    methods = {id(part) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield _flat(node.body), id(node) in methods


def _flat(body: list[ast.stmt]) -> list[ast.stmt]:
    out: list[ast.stmt] = []
    for statement in body:
        out.append(statement)
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, [])
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                out += _flat(inner)
    return out


def _examples_of_block(body: list[ast.stmt], place: str, names: frozenset[str], inside: bool) -> Iterator[Example]:
    assigned: dict[str, ast.expr] = {}
    built: list[tuple[str, ast.Call, str, int]] = []
    for index, statement in enumerate(body):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        variable = targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""
        for call in _own_calls(statement):
            name = _callee(call.func, names)
            if name:
                built.append((name, call, variable, index))
        if variable and isinstance(statement, ast.Assign) and not _self_made(statement.value, variable):
            assigned[variable] = statement.value
    for name, call, variable, index in built:
        calls = tuple(
            found for statement in body[index:] for found in _own_calls(statement) if variable and _calls_variable(found, variable)
        )
        yield Example(name, call, calls, assigned, place, inside)


def _self_made(value: ast.expr, variable: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == variable for part in ast.walk(value))


def _own_calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls of a statement, without those of the statements inside it."""
    todo: list[ast.AST] = [child for child in ast.iter_child_nodes(statement) if not isinstance(child, ast.stmt)]
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.Call):
            yield node
        todo += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]


def _callee(function: ast.expr, names: frozenset[str]) -> str:
    """What of `names` is called; `Net.from_name` where it is a method that makes a `Net` without fetching its weights."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id in names:
        made = re.match(r"(from|build|create|make)", function.attr) and function.attr != "from_pretrained"
        return f"{function.value.id}.{function.attr}" if made else ""
    name = _last_name(function)
    return name if name in names else ""


def _last_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def _calls_variable(call: ast.Call, variable: str) -> bool:
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr == "forward":
        function = function.value
    return isinstance(function, ast.Name) and function.id == variable


def _neighbours(file: Path, names: frozenset[str]) -> Iterator[tuple[str, str]]:
    """(place, text) of code beside the file: READMEs up to the project's root, its tests, and the package's own description."""
    folder, root = file.parent, file.parent
    for _ in range(4):
        for readme in sorted(folder.glob("README*")):
            yield from ((readme.name, block) for block in _FENCE.findall(_text(readme)))
        root = folder
        if any((folder / mark).exists() for mark in _ROOT_MARKS) or folder.name in ("site-packages", "dist-packages"):
            break
        folder = folder.parent
    yield from _descriptions(file)
    tests = [path for name in ("tests", "test") if (root / name).is_dir() for path in sorted((root / name).rglob("*.py"))]
    tests += sorted(file.parent.glob("test_*.py"))
    for path in [path for path in tests if path != file][:_MOST_TESTS]:
        text = _text(path)
        if any(name in text for name in names):
            yield path.name, text


def _descriptions(file: Path) -> Iterator[tuple[str, str]]:
    """The code of the description of the installed distribution that the file belongs to."""
    top = file.parent
    while (top / "__init__.py").exists() and (top.parent / "__init__.py").exists():
        top = top.parent
    if top.parent.name not in ("site-packages", "dist-packages"):
        return
    for path in top.parent.glob(f"{top.name.replace('-', '_')}-*.dist-info/METADATA"):
        yield from (("the package's description", block) for block in _FENCE.findall(_text(path)))


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_TEXT)
    except OSError:
        return ""


def _means_this_file(block: str, callee: str, file: Path) -> bool:
    """Whether a block beside the file means this file's class, and not one of the same name in a sibling."""
    match = re.search(rf"from\s+([\w.]+)\s+import\s[^\n]*\b{re.escape(callee)}\b", block)
    if match is None:
        return True
    last = match[1].rpartition(".")[2]
    return last == file.stem or not (file.parent / f"{last}.py").exists()
