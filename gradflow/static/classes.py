"""What a class inherits, as far as its package shows it, and whether it is a module of torch."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from gradflow.static.names import Class, Function, Module, Package
from gradflow.static.read import Source
from gradflow.static.spelling import spelled
from gradflow.static.torch_names import LAYERS, MODULE_CONTAINERS

TRANSPARENT_BASES = frozenset({"object", "Module", "LightningModule", "ABC", "Generic", "Protocol", "Function", "PyTorchModelHubMixin"})
"""Bases from outside of the package that use no attribute of the class: what the class does stands in its own source."""

MODULE_BASES = re.compile(
    r"(^|\.)(Module|LightningModule|PreTrainedModel|ModelMixin|Sequential|ModuleList|ModuleDict|ParameterList|ParameterDict)$"
)
_MAKES_LAYERS = frozenset(f"{point}{name}(" for name in LAYERS for point in ("", "."))
_PARAMETERS = frozenset({"Parameter(", ".Parameter("})
FROZEN_PARAMETER = re.compile(r"\bParameter\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*?requires_grad\s*=\s*False")
DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Lineage:
    """A class and its bases, nearest first. `strangers` are bases of which the source is not known."""

    classes: tuple[Class, ...]
    outside: tuple[str, ...]
    strangers: tuple[str, ...]

    @property
    def is_module(self) -> bool:
        """Whether a base is known to be a module of torch."""
        return any(MODULE_BASES.search(name) for name in self.outside)

    @property
    def is_container(self) -> bool:
        """Whether it is a ModuleList, ModuleDict, ParameterList or ParameterDict, with methods of its own."""
        return any(name.rpartition(".")[2] in MODULE_CONTAINERS for name in self.outside)

    @property
    def is_function(self) -> bool:
        """Whether it is a custom `torch.autograd.Function`."""
        return any(name in ("torch.autograd.Function", "torch.autograd.function.Function", "Function") for name in self.outside)

    def method(self, name: str, after: Class | None = None) -> tuple[Class, ast.FunctionDef | ast.AsyncFunctionDef] | None:
        """The nearest definition of `name`; with `after`, the next one behind that class, as `super()` finds it."""
        classes = self.classes
        if after is not None and after in classes:
            classes = classes[classes.index(after) + 1 :]
        for entry in classes:
            if name in entry.methods:
                return entry, entry.methods[name]
        return None

    def constant(self, name: str) -> tuple[Class, ast.expr] | None:
        """The nearest class attribute `name`."""
        for entry in self.classes:
            if name in entry.constants:
                return entry, entry.constants[name]
        return None


class Hierarchy:
    """The lineages of classes, each worked out once."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self._known: dict[Class, Lineage] = {}
        self._with_parameters: dict[Class, bool] = {}
        self._building: dict[Class, bool] = {}

    def lineage(self, owner: Class) -> Lineage:
        """The class and all its bases that the package holds."""
        if owner not in self._known:
            classes: list[Class] = []
            outside: list[str] = []
            self._collect(owner, classes, outside, 0)
            # The last mention of a shared base counts, as in Python's own order.
            if any(MODULE_BASES.search(name) for name in outside):
                outside += [entry.name for entry in classes if not entry.is_readable]
            order = [entry for place, entry in enumerate(classes) if entry not in classes[place + 1 :]]
            strangers = tuple(dict.fromkeys(name for name in outside if name.rpartition(".")[2] not in TRANSPARENT_BASES))
            self._known[owner] = Lineage(tuple(order), tuple(dict.fromkeys(outside)), strangers)
        return self._known[owner]

    def has_parameters(self, owner: Class, depth: int = 0) -> bool:
        """Whether the class, a base or a class that it builds, holds a layer with parameters of its own, by the names it calls."""
        if owner not in self._with_parameters:
            self._with_parameters[owner] = False  # a class that builds its own kind
            self._with_parameters[owner] = depth < DEEPEST and self._builds_layers(owner, depth)
        return self._with_parameters[owner]

    def _builds_layers(self, owner: Class, depth: int) -> bool:
        return any(self._own_methods_build(entry, depth) for entry in self.lineage(owner).classes)

    def _own_methods_build(self, owner: Class, depth: int) -> bool:
        if owner not in self._building:
            self._building[owner] = False
            self._building[owner] = any(self._method_builds(node, owner, depth) for node in owner.methods.values())
        return self._building[owner]

    def _method_builds(self, node: ast.FunctionDef | ast.AsyncFunctionDef, owner: Class, depth: int) -> bool:
        source, names = owner.module.source, owner.module.tokens
        tokens = source.tokens(node)
        if makes_layers(tokens, source, node):
            return True
        for token in sorted(token for token in tokens & names.keys() if token[-1] == "("):
            found = self.package.lookup(owner.module, names[token])
            if isinstance(found, Function) and makes_layers(found.module.source.tokens(found.node), found.module.source, found.node):
                return True
            if isinstance(found, Class) and found is not owner and self.has_parameters(found, depth + 1):
                return True
        return False

    def _collect(self, owner: Class, classes: list[Class], outside: list[str], depth: int) -> None:
        classes.append(owner)
        for base in owner.bases:
            found = resolve(self.package, owner.module, base)
            if isinstance(found, Class) and depth < DEEPEST and found is not owner:
                self._collect(found, classes, outside, depth + 1)
            else:
                outside.append(found if isinstance(found, str) else spelled(base))


def makes_layers(tokens: frozenset[str], source: Source, node: ast.stmt) -> bool:
    """Whether a function, by its tokens, makes layers or parameters that are trained."""
    if tokens & _MAKES_LAYERS:
        return True
    if not tokens & _PARAMETERS:
        return False
    return "requires_grad" not in tokens or "Parameter(" in FROZEN_PARAMETER.sub("", source.segment(node))


def resolve(package: Package, module: Module, expression: ast.expr) -> object:
    """What a dotted expression comes to at the top level of `module`, a string where it is outside of the package, else None."""
    if isinstance(expression, ast.Subscript):  # Generic[T]
        return resolve(package, module, expression.value)
    if isinstance(expression, ast.Name):
        return package.lookup(module, expression.id)
    if isinstance(expression, ast.Attribute):
        owner = resolve(package, module, expression.value)
        if isinstance(owner, (Module, str)):
            return package.member(owner, expression.attr)
    return None
