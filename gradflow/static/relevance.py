"""Which classes are worth following: a cheap look at words, so that most classes need not be walked at all.

A word is looked for only in the text that `forward` can reach: its own, that of methods that it names, that of functions of the package.
"""

from __future__ import annotations

import ast
import re

from gradflow.static.classes import Hierarchy
from gradflow.static.names import Assigned, Class, Function, Module

PRIMARY = ("forward", "training_step", "__call__")
"""Methods whose return is what a loss is made of."""

CUT_WORDS = re.compile(
    r"no_grad|inference_mode|set_grad_enabled|detach|\.data\b|\.item\(|numpy|tolist|arg(?:max|min|sort)\(|topk\(|\.sort\(|multinomial|"
    r"\.sample\(|torch\.(?:as_)?[tT]ensor\(|new_tensor|Variable\(|Parameter\(|\.(?:long|int|bool|byte)\(|torch\.(?:long|int\d*|bool|uint8)\b|"
    r"\bfloat\(|\.apply\(|\.(?:gt|lt|ge|le|eq|ne)\(|\w = [^=\n]*[^-=\s] [<>]=? |[<>]=? [^()\n]*\)\.|(?:max|min|median)\([^()]*dim"
)
BUILD_WORDS = re.compile(
    r"\bnn\.[A-Z]|ModuleList|ModuleDict|Sequential|Parameter\(|setattr\(|add_module|register_(?:buffer|parameter|module)|requires_grad|"
    r"\.eval\(|deepcopy|super\(\)\.__init__|(?<!raise )\b[A-Z][a-z]+(?![\w.]*(?:Error|Exception|Warning)\b)\w*\(|"
    r"(?:make|build|create)\w*\(|get_\w*(?:layer|block|norm|module|conv|embed)\w*\("
)
"""In the text of what `__init__` calls: it may make layers, or say something of them."""
NO_BUILDERS = frozenset(
    {"post_init", "init_weights", "_init_weights", "reset_parameters", "_reset_parameters", "initialize_weights", "weight_init",
     "init_parameters", "_initialize_weights", "log", "save_hyperparameters", "register_to_config"}
)  # fmt: skip
"""Methods that give first values to layers which are there already."""
MUTATES = re.compile(
    r"\.(?:append|extend|update|insert|add|pop)\(|\]\s*[-+*/|]?=[^=]|\w_\(|yield|global |nonlocal |setattr|requires_grad|backward\("
)
BUILDS_IN_FORWARD = re.compile(r"\bnn\.[A-Z]\w+\(|Parameter\(")
_SELF = re.compile(r"\b(?:self|super\(\))\.(\w+)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\(")
MOST_METHODS = 60
DEEPEST = 3


class Relevance:
    """Answers are worked out once for each class and function."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self._texts: dict[int, str] = {}
        self._functions: dict[int, bool] = {}
        self._builders: dict[int, bool] = {}
        self._plain: dict[int, bool] = {}
        self._any: dict[Class, bool] = {}
        self._forward: dict[Class, bool] = {}

    def worth_following(self, owner: Class) -> bool:
        """Whether something that `forward` reaches, here or in a module of the same file that it holds, can stop a gradient."""
        return self.forward_cuts(owner) or any(self.any_cuts(inner) for inner in self._held(owner, 0))

    def forward_cuts(self, owner: Class) -> bool:
        """Whether the text that the primary methods reach has a word that can stop a gradient."""
        if owner not in self._forward:
            self._forward[owner] = self._reach(owner, PRIMARY)
        return self._forward[owner]

    def any_cuts(self, owner: Class) -> bool:
        """The same for all methods but `__init__`: whoever holds the module may call any of them."""
        if owner not in self._any:
            self._any[owner] = False
            names = tuple(name for entry in self.hierarchy.lineage(owner).classes[:1] for name in entry.methods if name != "__init__")
            self._any[owner] = self._reach(owner, (*names, *PRIMARY))
        return self._any[owner]

    def builds(self, node: ast.AST, module: Module) -> bool:
        """Whether a function that `__init__` calls may make layers, or hand them on."""
        if getattr(node, "name", "") in NO_BUILDERS:
            return False
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return True
        if id(node) not in self._builders:
            text = self._text(node, module)
            self._builders[id(node)] = bool(BUILD_WORDS.search(text[text.find(":") :]))
        return self._builders[id(node)]

    def passes_through(self, node: ast.AST, module: Module) -> bool:
        """Whether a function outside of classes only computes with what it is given: it cuts nothing, and writes into nothing."""
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        if id(node) not in self._plain:
            text = self._text(node, module)
            cuts = CUT_WORDS.search(text) or MUTATES.search(text) or self._calls_cutting(text, module, 0)
            self._plain[id(node)] = not cuts
        return self._plain[id(node)]

    def _reach(self, owner: Class, names: tuple[str, ...]) -> bool:
        lineage = self.hierarchy.lineage(owner)
        todo, seen = list(names), set(names) | {"__init__"}
        while todo and len(seen) < MOST_METHODS:
            name = todo.pop()
            for entry in lineage.classes:
                node = entry.methods.get(name)
                if node is None:
                    continue
                text = self._text(node, entry.module)
                if CUT_WORDS.search(text) or self._calls_cutting(text, entry.module, 0):
                    return True
                fresh = set(_SELF.findall(text)) - seen
                seen |= fresh
                todo.extend(fresh)
                if "super()" not in text:
                    break
        return False

    def _calls_cutting(self, text: str, module: Module, depth: int) -> bool:
        for name in set(_WORD.findall(text)) & module.names.keys():
            found = self.hierarchy.package.lookup(module, name)
            if isinstance(found, Assigned) and CUT_WORDS.search(ast.unparse(found.value) if isinstance(found.value, ast.Call) else ""):
                return True
            if isinstance(found, Class) and "__enter__" in found.methods and CUT_WORDS.search(self._text(found.node, found.module)):
                return True
            if isinstance(found, Function) and depth < DEEPEST:
                known = self._functions.get(id(found.node))
                if known is None:
                    self._functions[id(found.node)] = False
                    inner = self._text(found.node, found.module)
                    known = bool(CUT_WORDS.search(inner)) or self._calls_cutting(inner, found.module, depth + 1)
                    self._functions[id(found.node)] = known
                if known:
                    return True
        return False

    def _held(self, owner: Class, depth: int) -> list[Class]:
        """Modules of the same file that `__init__` builds."""
        found: list[Class] = []
        for entry in self.hierarchy.lineage(owner).classes:
            node = entry.methods.get("__init__")
            if node is None or entry.module is not owner.module:
                continue
            for name in sorted(set(_CALLED.findall(self._text(node, entry.module))) & entry.module.names.keys()):
                inner = entry.module.names[name]
                if isinstance(inner, Class) and inner is not owner and self.hierarchy.lineage(inner).is_module:
                    found.append(inner)
                    if depth < DEEPEST:
                        found += self._held(inner, depth + 1)
        return found

    def _text(self, node: ast.stmt, module: Module) -> str:
        if id(node) not in self._texts:
            self._texts[id(node)] = module.source.segment(node)
        return self._texts[id(node)]
