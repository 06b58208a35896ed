"""Which classes are worth following: a cheap look at words and names, so that most classes need not be interpreted.

A word that can stop a gradient is looked for in the text that `forward` can reach. Where there is one, the names that flow into it are
followed back; the class matters if they lead to a layer, or to an argument in which whoever calls it may hand in what a layer computed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from gradflow.static.callees import Callees, is_unknown, parameters_of
from gradflow.static.classes import Hierarchy
from gradflow.static.names import Class, Function, Imported, Module
from gradflow.static.slices import SWITCHES, FunctionNode, Slice
from gradflow.static.spelling import last_name
from gradflow.static.torch_names import LAYERS
from gradflow.static.words import BUILD_TOKENS, BUILDER_NAMES, SAYS_TOKENS, SWITCHED

PRIMARY = ("forward", "training_step", "__call__")
"""Methods whose return is what a loss is made of."""

NO_BUILDERS = frozenset(
    {"post_init", "init_weights", "_init_weights", "reset_parameters", "_reset_parameters", "initialize_weights", "weight_init",
     "init_parameters", "_initialize_weights", "log", "save_hyperparameters", "register_to_config"}
)  # fmt: skip
"""Methods that give first values to layers which are there already."""
MUTATES = re.compile(
    r"\.(?:append|extend|update|insert|add|pop)\(|\]\s*[-+*/|]?=[^=]|\w_\(|yield|global |nonlocal |setattr|requires_grad|backward\("
)
CHANGES = BUILD_TOKENS | {"setattr("} | {point + word + end for word in SWITCHES for point in ("", ".") for end in ("", "(")}
LEAST_STATEMENTS = 4
_ASSIGNED = re.compile(r"\bself\.(\w+)(?:\s*:[^=\n]+)?\s*=(?!=)[ \t]*([^\n]*)")
_BUILDS = re.compile(
    r"self\.|[(\[{]\s*$|\b(?!(?:int|float|len|getattr|bool|str|range|max|min|isinstance|sqrt|log|abs|round|type|sum)\()\w+\("
)
"""In what is assigned to an attribute: it may be a layer, or hold one."""
_BUFFER = re.compile(r"register_buffer\(\s*[\"'](\w+)")
NO_ACTIVATIONS = re.compile(
    r"mask|_ids?$|^labels?$|index|indices|length|_lens?$|position|shape|size|^use_|^output_|return_|cache|past_|thw|config|^num_|timestep|"
    r"^dtype$|^device$|targets?$|^kwargs$|sigma|seqlen|offset|bbox|spatial|^step"
)
"""Names of arguments that carry numbers of the batch, and nothing that a layer has computed."""
NO_LAYERS = frozenset({"training", "config", "device", "dtype", "hparams", "logger"})
MOST_METHODS = 60
DEEPEST = 3


class Cuts(NamedTuple):
    """What methods of a class cut: something that the class itself computes, and which arguments of theirs, by name."""

    own: bool = False
    parameters: frozenset[str] = frozenset()


class Relevance(Callees):
    """Answers are worked out once for each class and function.

    `severs` is told which classes turned out to cut off parts of their own, `given_up` the names of those of this file that took too long;
    `deadline`, a time of `time.monotonic`, ends the search in this file, and `hurried` says that it has: another run may see more.
    """

    def __init__(self, hierarchy: Hierarchy) -> None:
        super().__init__(hierarchy)
        self.severs: dict[Class, bool] = {}
        self.deadline = inf
        self.given_up: list[str] = []
        self.hurried = False
        self._inert: dict[tuple[int, Class | None], bool] = {}
        self._builders: dict[int, bool] = {}
        self._plain: dict[int, bool] = {}
        self._set: dict[tuple[Class, str], bool] = {}
        self._switched: dict[Class, bool] = {}
        self._opens: dict[Class, bool] = {}
        self._cuts: dict[tuple[Class, tuple[str, ...]], Cuts] = {}
        self._without_layers: dict[Class, tuple[frozenset[str], frozenset[str]]] = {}
        self._inner: dict[Class, list[Class]] = {}

    def begin(self, deadline: float) -> None:
        """Begins with another file. What was followed in others does not count: with several processes they are other ones."""
        self.severs, self._opens = {}, {}
        self.deadline = deadline

    def worth_following(self, owner: Class) -> bool:
        """Whether something that `forward` reaches, here or in a module of the same file that it holds, may cut off a part of the class."""
        if not self.hierarchy.has_parameters(owner):
            return False
        return self.cuts(owner).own or any(self.opens(inner) or self._used_otherwise(owner, inner) for inner in self.held(owner))

    def opens(self, owner: Class) -> bool:
        """Whether who holds the module has to look into it, if it only calls it: it cuts what it is given, or parts of its own."""
        if owner not in self._opens:
            self._opens[owner] = True  # a class that holds its own kind
            cuts = self.cuts(owner)
            inside = any(self.opens(inner) for inner in self.held(owner))
            self._opens[owner] = bool(cuts.parameters) or self.severs.get(owner, cuts.own) or inside
        return self._opens[owner]

    def any_cuts(self, owner: Class) -> bool:
        """The same, whichever of its methods are called."""
        if self.opens(owner):
            return True
        other = self.cuts(
            owner, tuple(name for name in owner.methods if name not in (*PRIMARY, "__init__") and not name.startswith("_init"))
        )
        return other.own or bool(other.parameters)

    def makes_layers(self, value: ast.expr, module: Module) -> bool:
        """Whether an expression names a layer or a variable, or calls what may make one."""
        for node in ast.walk(value):
            if isinstance(node, ast.Call):
                name = last_name(node)
                found = module.binding(name)
                if name in LAYERS or name in ("Parameter", "Sequential", "deepcopy") or isinstance(found, (Class, Function, Imported)):
                    return True
                if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "self":
                    return True
        return isinstance(value, ast.Name)

    def cuts(self, owner: Class, names: tuple[str, ...] = PRIMARY) -> Cuts:
        """What these methods of a class, and those that they call, cut."""
        key = (owner, names)
        if key not in self._cuts:
            self._cuts[key] = Cuts()
            self._cuts[key] = self._cuts_from(owner, names)
        return self._cuts[key]

    def held(self, owner: Class) -> list[Class]:
        """Modules of the same file that `__init__` builds, and what they hold."""
        if owner not in self._inner:
            self._inner[owner] = self._held(owner, 0)
        return self._inner[owner]

    def builds(self, node: ast.AST, module: Module, owner: Class | None = None) -> bool:
        """Whether a function that `__init__` calls may make layers, or hand them on."""
        if getattr(node, "name", "") in NO_BUILDERS:
            return False
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return True
        if id(node) not in self._builders:
            self._builders[id(node)] = False
            self._builders[id(node)] = self._makes_something(node, module) or (owner is not None and self._base_builds(node, module, owner))
        return self._builders[id(node)]

    def _makes_something(self, node: FunctionNode, module: Module) -> bool:
        tokens = module.source.tokens(node)
        named = [module.binding(module.tokens[token]) for token in tokens & module.tokens.keys() if token[-1] == "("]
        return (
            not BUILD_TOKENS.isdisjoint(tokens)
            or not SAYS_TOKENS.isdisjoint(tokens)
            or any(isinstance(found, Class) and self.hierarchy.lineage(found).is_module for found in named)
            or bool(BUILDER_NAMES.search(self.text_of(node, module).partition(":")[2]))
        )

    def _base_builds(self, node: FunctionNode, module: Module, owner: Class) -> bool:
        """Whether an `__init__` that this one calls in a base builds something."""
        if node.name != "__init__" or "super(" not in module.source.tokens(node):
            return False
        bases = self.hierarchy.lineage(owner).classes
        return any(self.builds(entry.methods["__init__"], entry.module, entry) for entry in bases if "__init__" in entry.methods)

    def passes_through(self, node: ast.AST, module: Module) -> bool:
        """Whether a function outside of classes only computes with what it is given: it cuts nothing, and writes into nothing."""
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return False
        if id(node) not in self._plain:
            text = self.text_of(node, module)
            self._plain[id(node)] = not (self.words_cut(node, module) or MUTATES.search(text) or self.named(node, module).cuts)
        return self._plain[id(node)]

    def inert(self, node: ast.AST, module: Module, owner: Class | None) -> bool:
        """Whether what a function returns, given nothing that a layer has computed, has nothing of a layer in it either."""
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or len(node.body) < LEAST_STATEMENTS:
            return False
        key = (id(node), owner)
        if key not in self._inert:
            tokens = module.source.tokens(node)
            # Short functions are followed in any case: they may return a constant on which something depends.
            changes = not CHANGES.isdisjoint(tokens) or (owner is not None and bool(_ASSIGNED.search(self.text_of(node, module))))
            of_layers = changes or self.named(node, module).region or (owner is not None and self._is_layer(owner, node.name))
            self._inert[key] = not of_layers
        return self._inert[key]

    def ignores(self, node: ast.AST, module: Module, given: Iterable[int | str]) -> bool:
        """Whether a function of the package does nothing with these of its arguments but ask for their shapes and types."""
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return False
        callee = self.callee_of(Function(node, module))
        if callee.everything or callee.region or callee.returns is None:
            return False
        return not any(place in callee.places or place in callee.returns for place in given)

    def set_elsewhere(self, owner: Class, name: str) -> bool:
        """Whether a class attribute has other values too: in a subclass of the same file, or set on an object."""
        key = (owner, name)
        if key not in self._set:
            sources = {entry.module.source.path: entry.module.source for entry in self.hierarchy.lineage(owner).classes}
            self._set[key] = sum(source.assigned(name) + source.assigned(f".{name}") for source in sources.values()) > 1
        return self._set[key]

    # Classes

    def _used_otherwise(self, owner: Class, inner: Class) -> bool:
        """Whether the class calls a method of one that it holds by its name, and that method cuts something."""
        methods = {f".{name}(": name for name in inner.methods if name not in (*PRIMARY, "__init__")}
        tokens = [owner.module.source.tokens(node) for name, node in owner.methods.items() if name != "__init__"]
        names = sorted({methods[token] for found in tokens for token in found & methods.keys()})
        return any(cuts.own or cuts.parameters for name in names for cuts in [self.cuts(inner, (name,))])

    def _cuts_from(self, owner: Class, names: tuple[str, ...]) -> Cuts:
        if self._holds_a_switch(owner):
            return Cuts(own=True)
        reached = self._reached(owner, names)
        named = [self.named(node, entry.module) for entry, node in reached]
        if any(callee.region for callee in named):
            return Cuts(own=True)
        cutting = {
            node.name for callee, (entry, node) in zip(named, reached, strict=True) if callee.cuts or self.words_cut(node, entry.module)
        }
        pieces = [(node, self.slice_of(node, entry.module, own=True), entry.module) for entry, node in self._callers(reached, cutting)]
        if any(piece.region for _, piece, _ in pieces):
            return Cuts(own=True)
        cut = _spread([(node, piece) for node, piece, _ in pieces])
        for node, piece, module in pieces:
            here = cut[id(node)]
            if any(self._is_layer(owner, name[1:]) for name in here if name[0] == ".") or is_unknown(here, node, piece, module):
                return Cuts(own=True)
        given = {name for node, _, _ in pieces if node.name in names for name in cut[id(node)] & set(parameters_of(node))}
        return Cuts(parameters=frozenset(name for name in given if not NO_ACTIVATIONS.search(name)))

    def _callers(self, methods: list[tuple[Class, FunctionNode]], names: set[str]) -> list[tuple[Class, FunctionNode]]:
        """Those of the methods that have one of these names, or lead to one that has; `names` grows by theirs."""
        found: list[tuple[Class, FunctionNode]] = []
        rest = methods
        while fresh := [pair for pair in rest if self._leads_to(pair, names)]:
            found += fresh
            names |= {node.name for _, node in fresh}
            rest = [pair for pair in rest if pair not in fresh]
        return [pair for pair in methods if pair in found]

    def _leads_to(self, method: tuple[Class, FunctionNode], names: set[str]) -> bool:
        owner, node = method
        return node.name in names or not names.isdisjoint(self.own_names(node, owner.module))

    def _holds_a_switch(self, owner: Class) -> bool:
        """Whether a context or a function that switches gradients off may be an attribute."""
        return any(self._sets_a_switch(entry) for entry in self.hierarchy.lineage(owner).classes)

    def _sets_a_switch(self, owner: Class) -> bool:
        """The same of what the body of one class and its `__init__` set."""
        if owner not in self._switched:
            init = owner.methods.get("__init__")
            constants = [value for value in owner.constants.values() if not isinstance(value, ast.Constant)]
            self._switched[owner] = (init is not None and bool(SWITCHED.search(self.text_of(init, owner.module)))) or any(
                SWITCHED.search(ast.dump(value)) for value in constants
            )
        return self._switched[owner]

    def _reached(self, owner: Class, names: tuple[str, ...]) -> list[tuple[Class, FunctionNode]]:
        """The methods that `names` call, with all definitions of each that may run."""
        lineage = self.hierarchy.lineage(owner)
        found: list[tuple[Class, FunctionNode]] = []
        todo, seen = list(names), set(names) | {"__init__"}
        while todo and len(seen) < MOST_METHODS:
            name = todo.pop()
            for entry in lineage.classes:
                node = entry.methods.get(name)
                if node is None:
                    continue
                found.append((entry, node))
                text = self.text_of(node, entry.module)
                fresh = self.own_names(node, entry.module) - seen
                seen |= fresh
                todo.extend(fresh)
                if "super()" not in text:
                    break
        return found

    def _is_layer(self, owner: Class, name: str) -> bool:
        """Whether `self.name` may hold a layer, or what one computed; for a method, whether it reads such an attribute."""
        lineage = self.hierarchy.lineage(owner)
        todo, seen = [name], {name}
        while todo:
            name = todo.pop()
            found = lineage.method(name)
            if found is not None:
                fresh = self.own_names(found[1], found[0].module) - seen
                seen |= fresh
                todo += fresh
            elif name not in NO_LAYERS and lineage.constant(name) is None and self._may_hold(owner, name):
                return True
        return False

    def _may_hold(self, owner: Class, name: str) -> bool:
        plain = False
        for entry in self.hierarchy.lineage(owner).classes:
            if entry not in self._without_layers:
                self._without_layers[entry] = self._attributes_of(entry)
            without, others = self._without_layers[entry]
            if name in others:
                return True
            plain = plain or name in without
        return not plain

    def _attributes_of(self, owner: Class) -> tuple[frozenset[str], frozenset[str]]:
        """Attributes that `__init__` sets to what is no layer, and those that may be one or are set elsewhere."""
        without: set[str] = set()
        others: set[str] = set()
        for name, node in owner.methods.items():
            text = self.text_of(node, owner.module)
            for attribute, value in _ASSIGNED.findall(text):
                (others if name != "__init__" or _BUILDS.search(value) else without).add(attribute)
            without.update(_BUFFER.findall(text))
        return frozenset(without), frozenset(others)

    def _held(self, owner: Class, depth: int) -> list[Class]:
        """Modules of the same file that `__init__` builds."""
        found: list[Class] = []
        for entry in self.hierarchy.lineage(owner).classes:
            node = entry.methods.get("__init__")
            if node is None or entry.module is not owner.module:
                continue
            for token in sorted(entry.module.source.tokens(node) & entry.module.tokens.keys()):
                name = entry.module.tokens[token]
                inner = entry.module.binding(name)
                if isinstance(inner, Class) and inner is not owner and self.hierarchy.lineage(inner).is_module:
                    found.append(inner)
                    if depth < DEEPEST:
                        found += self._held(inner, depth + 1)
        return found


def _spread(pieces: list[tuple[FunctionNode, Slice]]) -> dict[int, set[str]]:
    """What is cut in each of these methods, also by the others that it calls."""
    cut = {id(node): piece.closed(piece.cuts) for node, piece in pieces}
    by_name: dict[str, list[FunctionNode]] = {}
    for node, _ in pieces:
        by_name.setdefault(node.name, []).append(node)
    changed = True
    while changed:
        changed = False
        for node, piece in pieces:
            for name, arguments in piece.calls:
                for callee in by_name.get(name, ()):
                    names = parameters_of(callee)[1:]
                    reached = {key for place, entry in enumerate(names) if entry in cut[id(callee)] for key in (place, entry)}
                    fresh = piece.closed(
                        name for place, given in arguments if reached and (place in reached or place == -1) for name in given
                    )
                    if not fresh <= cut[id(node)]:
                        cut[id(node)] |= fresh
                        changed = True
    return cut
