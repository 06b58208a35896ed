"""Which file, class or function a name stands for: imports followed by path, inside the package of the file that is read."""

from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradflow.static.pieces import Piece, bases_of
from gradflow.static.read import Source, Weight, read_outline

DEEPEST_REEXPORT = 6
USUAL = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "np": "numpy", "numpy": "numpy", "einops": "einops"}
"""What these names mean where a file does not say it (star imports, fragments)."""


@dataclass(slots=True, eq=False)
class Module:
    """One file: its top-level names, each with what binds it; a class or function may have to be parsed first (see `Package.binding`).

    `opened` are the paths of the files that names of this one led to, `missing` those that an import may have meant and that do not exist.
    `tokens`: what a use of a name in something that runs looks like (see `Source.tokens`), with that name.
    """

    source: Source
    folder: str
    names: dict[str, Binding] = field(default_factory=dict)
    classes: dict[int, Class] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    followed: dict[str, Resolved] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def binding(self, name: str) -> Known:
        """What binds a top-level name, None where nothing does, or more than one statement; a function is parsed now, if it was not yet."""
        found = self.names.get(name)
        if found.__class__ is not Piece:
            return found  # type: ignore[return-value]
        assert isinstance(found, Piece)
        if found.is_class and found.node is None:
            bound: Known = Class(self, name, found)
        else:
            bound = _defined(self.source.statement(found), self)
        self.names[name] = bound
        return bound

    def complete(self) -> Source:
        """The source, with the tree of the whole file."""
        if self.source.outline:
            self.source.complete()
            for bound in self.names.values():
                if isinstance(bound, Class) and bound.piece is not None and bound.piece.node is not None:
                    _ = bound.node  # from here on the statement stands for this very class
        return self.source


class Class:
    """A class of the package, with the module that holds it. What is known from `piece` alone is its name and bases, until more is asked.

    `node` is its statement, `methods` and `constants` are what its body binds by a `def` and by an assignment.
    """

    __slots__ = ("constants", "methods", "module", "name", "node", "piece")
    node: ast.ClassDef
    methods: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]
    constants: dict[str, ast.expr]

    def __init__(self, module: Module, name: str, piece: Piece | None = None) -> None:
        self.module, self.name, self.piece = module, name, piece

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there yet: parses the class."""
        if name not in ("node", "methods", "constants") or self.piece is None:
            raise AttributeError(name)
        found = self.module.source.statement(self.piece)
        self.read(found if isinstance(found, ast.ClassDef) else _unreadable_class(self.piece))
        return getattr(self, name)

    def read(self, node: ast.ClassDef) -> None:
        """Takes `node` for the statement of the class."""
        self.node, self.methods, self.constants = node, {}, {}
        self.module.classes[id(node)] = self
        _fill(self, node.body)

    @property
    def bases(self) -> list[ast.expr]:
        """Its base classes as they are written."""
        known = bases_of(self.module.source.text, self.piece) if self.piece is not None and self.piece.node is None else None
        return self.node.bases if known is None else known

    @property
    def is_readable(self) -> bool:
        """Whether its text can be parsed."""
        return bool(self.node.body)


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


Known = Class | Function | Imported | Assigned | None
Binding = Known | Piece
Resolved = Class | Function | Assigned | Module | str | None
"""What a name comes to; a string is a dotted name outside of the package."""


class Package:
    """The files that names lead to, each read at most once."""

    def __init__(self, show: Callable[[Path], str]) -> None:
        self._show = show
        self._modules: dict[str, Module | None] = {}
        self._found: dict[tuple[str, str, int], tuple[str, str]] = {}
        self._tops: dict[str, str] = {}
        self._weight = Weight()

    @property
    def size(self) -> int:
        """The length of all that was parsed, in characters."""
        return self._weight.characters

    @property
    def modules(self) -> Iterable[tuple[str, Module | None]]:
        """All files that were asked for, by path."""
        return self._modules.items()

    def add(self, source: Source) -> Module:
        """The module of a source that was read already."""
        module = _module_of(source)
        self._modules[source.path] = module
        source.weight, self._weight.characters = self._weight, self._weight.characters + source.parsed
        return module

    def forget(self, most_kept: int) -> list[Source]:
        """Lets go of all files, one reference at a time: Python's own search for cycles would walk through all the trees first.

        Returns the sources that most other files import, with their trees, up to `most_kept` characters.
        """
        kept = self._most_imported(most_kept)
        for path, module in self._modules.items():
            if module is not None:
                module.names, module.classes, module.followed = {}, {}, {}
                if path not in kept:
                    module.source.tree, module.source.outline = None, []
        self._modules, self._weight = {}, Weight()
        return list(kept.values())

    def _most_imported(self, most_kept: int) -> dict[str, Source]:
        """Those that several others import, and what these import: whoever looks into them again is led there again."""
        modules = {path: module for path, module in self._modules.items() if module is not None}
        importers = Counter(path for module in modules.values() for path in module.opened if path in modules)
        todo = [path for path, times in reversed(importers.most_common()) if times > 1]
        kept: dict[str, Source] = {}
        while todo:
            path = todo.pop()
            source = modules[path].source
            if path not in kept and source.parsed <= most_kept:
                most_kept -= source.parsed
                kept[path] = source
                todo += sorted(modules[path].opened & modules.keys())
        return kept

    def kept(self, path: str) -> Module | None:
        """The module at `path`, if it was read before."""
        return self._modules.get(path)

    def load(self, path: str) -> Module | None:
        """The module at `path`, or None where it cannot be read or parsed."""
        if path not in self._modules:
            self._modules[path] = None
            try:
                source = read_outline(Path(path), self._show(Path(path)))
            except OSError:
                return None
            if source.error is None:
                self.add(source)
        return self._modules[path]

    def lookup(self, module: Module, name: str, depth: int = 0) -> Resolved:
        """What the top-level name `name` of `module` comes to."""
        if name not in module.names:
            return USUAL.get(name)
        binding = module.binding(name)
        if not isinstance(binding, Imported):
            return binding
        if depth:
            return self.follow(module, binding, depth)
        if name not in module.followed:
            module.followed[name] = self.follow(module, binding)
        return module.followed[name]

    def follow(self, module: Module, binding: Imported, depth: int = 0) -> Resolved:
        """What an import comes to."""
        if depth > DEEPEST_REEXPORT:
            return None
        path = self._path_of(module, binding.dotted, binding.level)
        if binding.member and path:
            target = self._load_for(module, path)
            if target is not None and binding.member in target.names:
                return self.lookup(target, binding.member, depth + 1)
            inside = self._path_of(module, f"{binding.dotted}.{binding.member}" if binding.dotted else binding.member, binding.level)
            return self._load_for(module, inside) if inside else None
        if path:
            return self._load_for(module, path)
        if binding.level:
            return None
        return f"{binding.dotted}.{binding.member}" if binding.member else binding.dotted

    def member(self, owner: Module | str, name: str) -> Resolved:
        """What `owner.name` comes to."""
        if isinstance(owner, str):
            return f"{owner}.{name}"
        found = self.lookup(owner, name) if name in owner.names else None
        if found is None and owner.source.path.endswith("__init__.py"):
            path = _existing(os.path.join(owner.folder, name))
            return self._load_for(owner, path) if path else None
        return found

    def _load_for(self, module: Module, path: str) -> Module | None:
        module.opened.add(path)
        return self.load(path)

    def _path_of(self, module: Module, dotted: str, level: int) -> str:
        """The file of an imported module, empty where it lies outside of the package or does not exist."""
        key = (module.folder, dotted, level)
        known = self._found.get(key)
        if known is None:
            place = self._place_of(module.folder, dotted, level)
            known = self._found[key] = (place, _existing(place) if place else "")
        place, path = known
        if place and not path:
            module.missing.add(place)
        return path

    def _place_of(self, folder: str, dotted: str, level: int) -> str:
        """The path of a module without its suffix, whether it is there or not; empty where it lies outside of the package.

        It is looked for relative to `folder`, in the package that `folder` belongs to, or beside the file itself.
        """
        parts = dotted.split(".") if dotted else []
        if level:
            base = folder
            for _ in range(level - 1):
                base = os.path.dirname(base)
            return os.path.join(base, *parts)
        top = self._top_of(folder)
        # `top` is the folder that holds the package, or the script's own folder. Only the package itself is followed, not its neighbours.
        inside = top == folder or parts[0] == os.path.relpath(folder, top).split(os.sep)[0]
        return os.path.join(top, *parts) if inside else ""

    def _top_of(self, folder: str) -> str:
        if folder not in self._tops:
            top = folder
            while os.path.isfile(os.path.join(top, "__init__.py")) and os.path.dirname(top) != top:
                top = os.path.dirname(top)
            self._tops[folder] = top
        return self._tops[folder]


def candidates(place: str) -> tuple[str, str]:
    """The files that a module may stand in, by its path without a suffix."""
    return f"{place}.py", os.path.join(place, "__init__.py")


def _existing(place: str) -> str:
    return next((path for path in candidates(place) if os.path.isfile(path)), "")


def _module_of(source: Source) -> Module:
    module = Module(source, os.path.dirname(source.path))
    for entry in source.tree.body if source.tree is not None else source.outline:
        if isinstance(entry, Piece):
            module.names[entry.name] = entry
        else:
            for statement in _top_level([entry]):
                _bind(module, statement)
    for name in module.names:
        module.tokens[name + "("] = name
        # An annotation names classes; a function or a constant may be used without being called.
        if name[0].islower() or name[0] == "_" or name.isupper():
            module.tokens[name] = name
    return module


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, those in `if`, `try` and `with` blocks included."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.With)):
            yield from _top_level(statement.body)
            yield from _top_level(getattr(statement, "orelse", []))
        elif isinstance(statement, ast.Try):
            yield from _top_level(statement.body)
            for handler in statement.handlers:
                yield from _top_level(handler.body)
            yield from _top_level(statement.orelse)


def _bind(module: Module, statement: ast.stmt) -> None:
    names = module.names
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        names[statement.name] = _defined(statement, module)
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        # The first import of `try: ... except ImportError: ...` is the one that is meant.
        for name, binding in imported(statement):
            names.setdefault(name, binding)
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                names[target.id] = Assigned(statement.value, module) if target.id not in names else None


def _defined(statement: ast.stmt | None, module: Module) -> Class | Function | None:
    if isinstance(statement, ast.ClassDef):
        return class_of(statement, module)
    return Function(statement, module) if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) else None


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
        known = Class(module, node.name)
        known.read(node)
    return known


def _unreadable_class(piece: Piece) -> ast.ClassDef:
    """What stands for a class that cannot be parsed: nothing is known of its body."""
    place = {"lineno": piece.line, "end_lineno": piece.line, "col_offset": 0, "end_col_offset": 0}
    return ast.ClassDef(piece.name, [], [], [], [], **place)


def _fill(owner: Class, body: list[ast.stmt]) -> None:
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not any(isinstance(entry, ast.Attribute) and entry.attr in ("setter", "deleter") for entry in statement.decorator_list):
                owner.methods[statement.name] = statement
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
            owner.constants[statement.targets[0].id] = statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None and isinstance(statement.target, ast.Name):
            owner.constants[statement.target.id] = statement.value
        elif isinstance(statement, ast.If):
            _fill(owner, statement.body)
            _fill(owner, statement.orelse)
