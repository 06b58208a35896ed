"""Finds the model whose layers are to be frozen among all that a running program holds, when one of its modules is called. Reads only."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

import torch

from gradflow.capture.facts.names import learn_names, variable_of
from gradflow.capture.freeze_ways import Module, find_layers
from gradflow.errors import UsageError

SEARCHES_AT_MOST = 64
_WRAPPERS = ("module", "_orig_mod")
"""Under these names DataParallel, DistributedDataParallel and `torch.compile` hold the model that they wrap."""


@dataclass(slots=True)
class Subject:
    """A model, the variable that holds it, its layers to freeze by path, and the identities of all modules through which it is called."""

    model: Module
    variable: str
    chosen: dict[str, Module]
    called_as: frozenset[int]


class SubjectFinder:
    """Looks for the model in which `layers` (paths, `*` allowed, with or without the model's variable before them) are found.

    `complaint` says why no model was the right one so far, empty where none was looked at.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        self._layers = tuple(layers)
        self._others: dict[int, weakref.ref[Module]] = {}
        self._searches = 0
        self._largest = -1
        self.complaint = ""

    def find(self, called: Module, frame: FrameType) -> Subject | None:
        """The subject, if `called` is it or a part of it. Of a module that is not, the answer is kept."""
        other = self._others.get(id(called))
        if (other is not None and other() is called) or self._searches >= SEARCHES_AT_MOST:
            return None
        self._searches += 1
        if any(True for _ in called.parameters()):
            for root in _roots_around(called):
                subject = self._subject(root, frame)
                if subject is not None:
                    return subject
        self._others[id(called)] = weakref.ref(called)
        return None

    def _subject(self, root: Module, frame: FrameType) -> Subject | None:
        variable = variable_of(learn_names([root], frame).get(id(root), "")) or "model"
        model = _unwrapped(root)
        try:
            chosen = find_layers(model, [self._path(layer, variable, model) for layer in self._layers])
        except UsageError as error:
            size = sum(1 for _ in model.modules())
            if size > self._largest:
                self._largest, self.complaint = size, str(error)
            return None
        return Subject(model, variable, chosen, frozenset(id(module) for module in root.modules()))

    def _path(self, layer: str, variable: str, model: Module) -> str:
        """`layer` without the model's variable, unless the model has a child of that name."""
        first, _, rest = layer.partition(".")
        return rest if rest and first == variable and first not in model._modules else layer


def _roots_around(called: Module) -> Iterator[Module]:
    """The modules that no other module holds and that are `called`, or hold it."""
    # `type`, since `isinstance` asks an object for its `__class__`, and proxies answer by loading what they stand for
    modules = [value for value in gc.get_objects() if issubclass(type(value), Module)]
    inner = {id(child) for module in modules for child in module.__dict__.get("_modules", {}).values()}
    for module in modules:
        if id(module) not in inner and "_modules" in module.__dict__ and any(part is called for part in module.modules()):
            yield module


def _unwrapped(root: Module) -> Module:
    while len(root._modules) == 1 and not root._parameters and (name := next(iter(root._modules))) in _WRAPPERS:
        root = root.get_submodule(name)
    return root


def holders_of(model: Module, optimizers: Sequence[weakref.ref[torch.optim.Optimizer]]) -> list[torch.optim.Optimizer]:
    """Those of `optimizers` that hold a parameter of the model, in order."""
    own = {id(parameter) for parameter in model.parameters()}
    living = [optimizer for ref in optimizers if (optimizer := ref()) is not None]
    return [entry for entry in living if any(id(value) in own for group in entry.param_groups for value in group["params"])]
