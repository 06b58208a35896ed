"""Which file, class or function a name stands for: imports followed by path, inside the package of the file that is read."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gradflow.static.read import Source, read_source

DEEPEST_REEXPORT = 6
USUAL = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "np": "numpy", "numpy": "numpy", "einops": "einops"}
"""What these names mean where a file does not say it (star imports, fragments)."""


@dataclass(slots=True, eq=False)
class Module:
    """One parsed file: its top-level names, each with the statements that bind it."""

    source: Source
    folder: Path
    names: dict[str, Binding] = field(default_factory=dict)
    classes: dict[int, Class] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Class:
    """A class of the package, with the module that holds it."""

    node: ast.ClassDef
    module: Module
    methods: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the source spells it."""
        return self.node.name


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the package, with the module that holds it."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    module: Module


@dataclass(frozen=True, slots=True)
class Imported:
    """A name that an import binds: `dotted` is absolute, or begins with `level` dots; `member` is what is taken from that module."""

    dotted: str
    level: int = 0
    member: str = ""


@dataclass(frozen=True, slots=True)
class Assigned:
    """A name that an assignment binds, once."""

    value: ast.expr
    module: Module


Binding = Class | Function | Imported | Assigned | None
Resolved = Class | Function | Assigned | Module | str | None
"""What a name comes to; a string is a dotted name outside of the package."""


class Package:
    """The files that names lead to, each read at most once.

    `opened` are the paths of all that were looked into, `missing` those that an import may have meant and that do not exist.
    """

    def __init__(self, show: Callable[[Path], str]) -> None:
        self._show = show
        self._modules: dict[Path, Module | None] = {}
        self._found: dict[tuple[Path, str, int], Path | None] = {}
        self.opened: set[str] = set()
        self.missing: set[str] = set()

    @property
    def size(self) -> int:
        """How many files are kept."""
        return len(self._modules)

    def add(self, source: Source) -> Module:
        """The module of a source that was read already."""
        path = Path(source.path)
        module = _module_of(source, path)
        self._modules[path] = module
        return module

    def load(self, path: Path) -> Module | None:
        """The module at `path`, or None where it cannot be read or parsed."""
        if path not in self._modules:
            try:
                source = read_source(path, self._show(path))
            except OSError:
                self._modules[path] = None
            else:
                self._modules[path] = _module_of(source, path) if source.tree is not None else None
        self.opened.add(str(path))
        return self._modules[path]

    def lookup(self, module: Module, name: str, depth: int = 0) -> Resolved:
        """What the top-level name `name` of `module` comes to."""
        if name not in module.names:
            return USUAL.get(name)
        binding = module.names[name]
        if isinstance(binding, Imported):
            return self.follow(module, binding, depth)
        return binding

    def follow(self, module: Module, binding: Imported, depth: int = 0) -> Resolved:
        """What an import comes to."""
        if depth > DEEPEST_REEXPORT:
            return None
        path = self._path_of(module, binding.dotted, binding.level)
        if binding.member and path is not None:
            inside = self._path_of(module, f"{binding.dotted}.{binding.member}" if binding.dotted else binding.member, binding.level)
            target = self.load(path)
            if target is not None and binding.member in target.names:
                return self.lookup(target, binding.member, depth + 1)
            return self.load(inside) if inside is not None else None
        if path is not None:
            return self.load(path)
        if binding.level:
            return None
        return f"{binding.dotted}.{binding.member}" if binding.member else binding.dotted

    def member(self, owner: Module | str, name: str) -> Resolved:
        """What `owner.name` comes to."""
        if isinstance(owner, str):
            return f"{owner}.{name}"
        found = self.lookup(owner, name) if name in owner.names else None
        if found is None and owner.source.path.endswith("__init__.py"):
            path = _existing(Path(owner.source.path).parent / name)
            return self.load(path) if path else None
        return found

    def _path_of(self, module: Module, dotted: str, level: int) -> Path | None:
        key = (module.folder, dotted, level)
        if key not in self._found:
            self._found[key] = _find(module.folder, dotted, level)
        found = self._found[key]
        if found is None:
            self.missing.update(_candidates(module.folder, dotted, level))
        return found


def _find(folder: Path, dotted: str, level: int) -> Path | None:
    """The file of a module: relative to `folder`, in the package that `folder` belongs to, or beside the file itself."""
    place = _place_of(folder, dotted, level)
    return _existing(place) if place is not None else None


def _candidates(folder: Path, dotted: str, level: int) -> tuple[str, ...]:
    """The paths that an import would be taken for, if they were there."""
    place = _place_of(folder, dotted, level)
    return (f"{place}.py", f"{place}/__init__.py") if place is not None else ()


def _place_of(folder: Path, dotted: str, level: int) -> Path | None:
    """The path of a module without its suffix, whether it is there or not; None where it lies outside of the package."""
    parts = dotted.split(".") if dotted else []
    if level:
        base = folder
        for _ in range(level - 1):
            base = base.parent
        return base.joinpath(*parts)
    top = folder
    while (top / "__init__.py").is_file() and top.parent != top:
        top = top.parent
    # `top` is the folder that holds the package, or the script's own folder. Only the package itself is followed, not its neighbours.
    inside = top == folder or parts[0] == folder.relative_to(top).parts[0]
    return top.joinpath(*parts) if inside else None


def _existing(path: Path) -> Path | None:
    for candidate in (path.with_name(path.name + ".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _module_of(source: Source, path: Path) -> Module:
    module = Module(source, path.parent)
    if source.tree is not None:
        for statement in _top_level(source.tree.body):
            _bind(module, statement)
    return module


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, those in `if`, `try` and `with` blocks included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.With):
            yield from _top_level(statement.body)
            yield from _top_level(getattr(statement, "orelse", []))
        elif isinstance(statement, ast.Try):
            yield from _top_level(statement.body)
            for handler in statement.handlers:
                yield from _top_level(handler.body)
            yield from _top_level(statement.orelse)


def _bind(module: Module, statement: ast.stmt) -> None:
    names = module.names
    if isinstance(statement, ast.ClassDef):
        names[statement.name] = class_of(statement, module)
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        names[statement.name] = Function(statement, module)
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        # The first import of `try: ... except ImportError: ...` is the one that is meant.
        for name, binding in imported(statement):
            names.setdefault(name, binding)
    elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                names[target.id] = Assigned(statement.value, module) if target.id not in names else None


def imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Imported]]:
    """The names that an import statement binds."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield (alias.asname, Imported(alias.name)) if alias.asname else (alias.name.split(".")[0], Imported(alias.name.split(".")[0]))
        return
    for alias in statement.names:
        if alias.name != "*":
            yield alias.asname or alias.name, Imported(statement.module or "", statement.level, alias.name)


def class_of(node: ast.ClassDef, module: Module) -> Class:
    """The class of a statement, wherever in the module it stands; always the same object for the same statement."""
    known = module.classes.get(id(node))
    if known is None:
        known = module.classes[id(node)] = Class(node, module)
        _fill(known, node.body)
    return known


def _fill(owner: Class, body: list[ast.stmt]) -> None:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            if not any(isinstance(entry, ast.Attribute) and entry.attr in ("setter", "deleter") for entry in statement.decorator_list):
                owner.methods[statement.name] = statement
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
            owner.constants[statement.targets[0].id] = statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None and isinstance(statement.target, ast.Name):
            owner.constants[statement.target.id] = statement.value
        elif isinstance(statement, ast.If):
            _fill(owner, statement.body)
            _fill(owner, statement.orelse)
