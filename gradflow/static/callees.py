"""What the functions of a package cut, by their names: which of their arguments reach a place that stops gradients."""

from __future__ import annotations

import ast
import builtins
import re

from gradflow.static.classes import Hierarchy, resolve
from gradflow.static.names import Assigned, Class, Function, Module
from gradflow.static.read import TOKEN
from gradflow.static.slices import SWITCHES, Callee, FunctionNode, Slice, slice_of
from gradflow.static.spelling import last_name
from gradflow.static.words import GRAD_WORDS, STAYS_SWITCHED, SWITCHED, cut_words

_SELF = re.compile(r"self\.(\w+)")
_ABOVE = re.compile(r"super\(\)\.(\w+)")
_BUILT_IN = frozenset(dir(builtins))


class Callees:
    """Answers are worked out once for each function."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self._texts: dict[int, str] = {}
        self._slices: dict[int, Slice] = {}
        self._callees: dict[int, Callee] = {}
        self._names: dict[tuple[Module, str], Callee] = {}
        self._named_in: dict[int, Callee] = {}
        self._words: dict[int, bool] = {}
        self._switches: dict[int, bool] = {}
        self._selves: dict[int, set[str]] = {}

    def slice_of(self, node: FunctionNode, module: Module, *, own: bool) -> Slice:
        """What reaches a cut in a function; `own`: it is a method, whose first argument is the object."""
        if id(node) not in self._slices:
            own = own and not any(last_name(entry) == "staticmethod" for entry in node.decorator_list)
            first = next((entry.arg for entry in (*node.args.posonlyargs, *node.args.args)), "") if own else ""
            self._slices[id(node)] = slice_of(node, first, lambda function: self._callee(function, module))
        return self._slices[id(node)]

    def named(self, node: FunctionNode, module: Module) -> Callee:
        """What the names of the package that stand in a function cut, taken together."""
        if id(node) not in self._named_in:
            region = everything = False
            decorators = {last_name(entry) for entry in node.decorator_list}
            for token in module.source.tokens(node) & module.tokens.keys():
                name = module.tokens[token]
                key = (module, name)
                if key not in self._names:
                    self._names[key] = Callee()
                    self._names[key] = self.callee_of(self.hierarchy.package.lookup(module, name))
                known = self._names[key]
                # A function that is handed on is called with what is not seen here.
                handed_on = token == name and name not in decorators and known.everything
                # A comment may name it too.
                if (known.region or handed_on) and any(isinstance(entry, ast.Name) and entry.id == name for entry in ast.walk(node)):
                    region = True
                everything = everything or known.cuts
            self._named_in[id(node)] = Callee(region, everything)
        return self._named_in[id(node)]

    def switches(self, found: Function | Class) -> bool:
        """Whether the text of a decorator has a word that stops gradients."""
        if id(found.node) not in self._switches:
            self._switches[id(found.node)] = bool(GRAD_WORDS.search(self.text_of(found.node, found.module)))
        return self._switches[id(found.node)]

    def words_cut(self, node: ast.stmt, module: Module) -> bool:
        """Whether the text of a function has a word that can stop a gradient."""
        if id(node) not in self._words:
            self._words[id(node)] = cut_words(module.source.tokens(node), self.text_of(node, module))
        return self._words[id(node)]

    def _callee(self, function: ast.expr, module: Module) -> Callee:
        if isinstance(function, ast.Name) and function.id not in module.names:
            return Callee()
        found = resolve(self.hierarchy.package, module, function)
        if found is None and isinstance(function, ast.Attribute) and function.attr == "apply":
            found = resolve(self.hierarchy.package, module, function.value)
        return self.callee_of(found)

    def callee_of(self, found: object) -> Callee:
        """What a name of the package cuts, used as a function, a decorator or a context."""
        if isinstance(found, str):
            last = found.rpartition(".")[2]
            return Callee(region=last in SWITCHES, everything=found.startswith("numpy.") and last.islower())
        if isinstance(found, Assigned):
            text = "" if isinstance(found.value, ast.Constant) else ast.unparse(found.value)
            return Callee(region=bool(SWITCHED.search(text)), everything=cut_words(frozenset(TOKEN.findall(text)), text))
        if not isinstance(found, (Function, Class)):
            return Callee()
        if id(found.node) not in self._callees:
            self._callees[id(found.node)] = Callee()
            self._callees[id(found.node)] = self._cut_by_class(found) if isinstance(found, Class) else self._cut_by_function(found)
        return self._callees[id(found.node)]

    def _cut_by_class(self, found: Class) -> Callee:
        lineage = self.hierarchy.lineage(found)
        if lineage.is_function:
            return Callee(everything=True)
        if any(name.rpartition(".")[2] in SWITCHES for name in lineage.outside):
            return Callee(region=True)
        if lineage.is_module:
            return Callee()
        text = self.text_of(found.node, found.module)
        return Callee(
            region="__enter__" in found.methods and bool(SWITCHED.search(text)), everything=self.words_cut(found.node, found.module)
        )

    def _cut_by_function(self, found: Function) -> Callee:
        text = self.text_of(found.node, found.module)
        if SWITCHED.search(text):
            return Callee(region=bool(STAYS_SWITCHED.search(text)), everything=True, wraps=True)
        if not self.words_cut(found.node, found.module) and not self.named(found.node, found.module).cuts:
            return Callee()
        piece = self.slice_of(found.node, found.module, own=False)
        cut, flows = piece.closed(piece.cuts), piece.closed(piece.returned)
        everything = piece.region or is_unknown(cut, found.node, piece, found.module)
        return Callee(piece.region, everything, places_of(found.node, cut), bool(GRAD_WORDS.search(text)), places_of(found.node, flows))

    def own_names(self, node: FunctionNode, module: Module) -> set[str]:
        """What a method reads of `self` and of `super()`."""
        if id(node) not in self._selves:
            text = self.text_of(node, module)
            self._selves[id(node)] = {*_SELF.findall(text), *(_ABOVE.findall(text) if "super()" in text else ())}
        return self._selves[id(node)]

    def text_of(self, node: ast.stmt, module: Module) -> str:
        if id(node) not in self._texts:
            self._texts[id(node)] = module.source.code(node)
        return self._texts[id(node)]


def parameters_of(node: FunctionNode) -> list[str]:
    """Names of the arguments by place; those that have none come last."""
    spec = node.args
    extra = [entry.arg for entry in (spec.vararg, spec.kwarg) if entry is not None]
    return [entry.arg for entry in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)] + extra


def places_of(node: FunctionNode, names: set[str]) -> frozenset[int | str]:
    """Those arguments of a function that are among `names`, by place and by name."""
    return frozenset(key for place, name in enumerate(parameters_of(node)) if name in names for key in (place, name))


def is_unknown(cut: set[str], node: FunctionNode, piece: Slice, module: Module) -> bool:
    """Whether something is cut of which it is not seen where it comes from."""
    known = {*parameters_of(node), *piece.sources}
    return any(name[0] != "." and name not in known and name not in module.names and name not in _BUILT_IN for name in cut)
