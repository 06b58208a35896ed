"""Ways to freeze layers of a live model, and what can be read off a step that is taken so. Each way is a block that undoes itself."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._pytree import tree_map_only

from gradflow.capture.training.numbers import fingerprints, is_all_zero, local
from gradflow.errors import UsageError
from gradflow.graph.freezing import Arrival, FreezeCell, FreezeLayer, FreezeWay, Moody

ROUNDS = 5
PATIENCE = 2.0
"""Seconds that timing one way may take: then what was timed so far is the answer."""
_NORMS = (torch.nn.modules.batchnorm._NormBase,)

Module = torch.nn.Module
Bits = list[tuple[list[int], list[int]]]
"""By layer, fingerprints of its own parameters, and of its own buffers."""


def find_layers(model: Module, patterns: Sequence[str]) -> dict[str, Module]:
    """The topmost modules whose path fits one of `patterns`, by path.

    Raises:
        UsageError: naming a pattern that fits none, and paths that are like it.
    """
    paths = [path for path, _ in model.named_modules() if path]
    found: dict[str, Module] = {}
    for pattern in patterns:
        fitting = [path for path in paths if fnmatchcase(path, pattern)]
        if not fitting:
            like = difflib.get_close_matches(pattern, paths, 3, 0.4) or paths[:5]
            raise UsageError(f"no module of {type(model).__name__} is named `{pattern}`: it has {', '.join(like)}")
        found.update((path, model.get_submodule(path)) for path in fitting)
    if not found:
        raise UsageError("no layer to freeze: name at least one, as in `lin1` or `encoder.*`")
    return {path: found[path] for path in paths if path in found and not any(_above(other, path) for other in found)}


def _above(one: str, other: str) -> bool:
    return other.startswith(f"{one}.")


def layers_of(model: Module, chosen: Mapping[str, Module]) -> list[FreezeLayer]:
    """A row for each module with parameters or buffers of its own; those in `chosen` (by path) are to be frozen."""
    rows = []
    for path, module in model.named_modules():
        own, buffers = list(module.parameters(recurse=False)), list(module.buffers(recurse=False))
        if own or buffers:
            frozen = any(path == other or _above(other, path) for other in chosen)
            rows.append(FreezeLayer(path, type(module).__name__, frozen, sum(value.numel() for value in own), len(buffers)))
    return rows


@contextmanager
def frozen_by(way: FreezeWay, modules: Collection[Module], optimizers: Sequence[torch.optim.Optimizer]) -> Iterator[None]:
    """Inside, `modules` are frozen that way."""
    parameters = {id(value): value for module in modules for value in module.parameters()}
    match way:
        case FreezeWay.NOTHING:
            yield
        case FreezeWay.REQUIRES_GRAD:
            flags = [(value, value.requires_grad) for value in parameters.values()]
            try:
                for value, _ in flags:
                    value.requires_grad_(False)
                yield
            finally:
                for value, flag in flags:
                    value.requires_grad_(flag)
        case FreezeWay.NO_GRAD | FreezeWay.DETACH:
            wrap = _without_grad if way is FreezeWay.NO_GRAD else _detached
            with _wrapped([inner for module in modules for inner in _called(module)], wrap):
                yield
        case FreezeWay.LEFT_OUT:
            with _left_out(optimizers, parameters.keys()):
                yield
        case FreezeWay.EVAL:
            modes = [(inner, inner.training) for module in modules for inner in module.modules()]
            try:
                for module in modules:
                    module.eval()
                yield
            finally:
                for inner, mode in modes:
                    inner.training = mode


@contextmanager
def _wrapped(modules: list[Module], wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    saved = [(module, vars(module).get("forward")) for module in modules]
    try:
        for module in modules:
            module.forward = wrap(module.forward)
        yield
    finally:
        for module, own in saved:
            if own is None:
                vars(module).pop("forward", None)
            else:
                module.forward = own


def _without_grad(forward: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        with torch.no_grad():
            return forward(*args, **kwargs)

    return called


def _detached(forward: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        return tree_map_only(torch.Tensor, lambda value: value.detach(), forward(*args, **kwargs))

    return called


@contextmanager
def _left_out(optimizers: Sequence[torch.optim.Optimizer], parameters: Collection[int]) -> Iterator[None]:
    groups = [(group, group["params"]) for optimizer in optimizers for group in optimizer.param_groups]
    try:
        for group, held in groups:
            group["params"] = [value for value in held if id(value) not in parameters]
        yield
    finally:
        for group, held in groups:
            group["params"] = held


def _called(module: Module) -> list[Module]:
    """The module itself, or what it holds if it has no forward of its own (a ModuleList)."""
    if type(module).forward is not Module.forward or "forward" in vars(module):
        return [module]
    return [inner for child in module.children() for inner in _called(child)]


@contextmanager
def counted(sizes: dict[int, int], kept_anyway: set[int]) -> Iterator[None]:
    """Keeps `sizes` (bytes, by address) to what autograd holds for the backward pass at the moment.

    What is cut off from the loss is let go during the forward pass already, and its memory may be given to another tensor.
    """
    holders: dict[int, int] = {}

    def pack(value: torch.Tensor) -> _Kept:
        address = address_of(value)
        if not address or address in kept_anyway:
            return _Kept(value, _nothing)
        sizes[address] = value.untyped_storage().nbytes()
        holders[address] = holders.get(address, 0) + 1
        return _Kept(value, lambda: let_go(address))

    def let_go(address: int) -> None:
        holders[address] -= 1
        if not holders[address]:
            del sizes[address], holders[address]

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.value):
        yield


class _Kept:
    """A tensor as autograd holds it; `let_go` is called when it does no more."""

    __slots__ = ("let_go", "value")

    def __init__(self, value: torch.Tensor, let_go: Callable[[], None]) -> None:
        self.value = value
        self.let_go = let_go

    def __del__(self) -> None:
        self.let_go()


def _nothing() -> None:
    """Of memory that is there anyway nothing is let go."""


def address_of(value: torch.Tensor) -> int:
    """Where its memory begins, 0 where it has none of its own to compare."""
    value = local(value)
    return value.untyped_storage().data_ptr() if value.layout is torch.strided else 0


def arrival_at(module: Module) -> Arrival | None:
    """Whether a gradient lies at the module's own parameters, None where it has none."""
    own = list(module.parameters(recurse=False))
    if not own:
        return None
    grads = [value.grad for value in own if value.grad is not None]
    if not grads:
        return Arrival.NONE
    return Arrival.ZERO if all(is_all_zero(grad.to_dense() if grad.is_sparse else grad) for grad in grads) else Arrival.ARRIVES


def read_bits(model: Module, layers: Sequence[FreezeLayer]) -> Bits:
    """What tells whether a layer's values change."""
    modules = [model.get_submodule(row.path) for row in layers]
    return [(fingerprints(list(module.parameters(recurse=False))), fingerprints(list(module.buffers(recurse=False)))) for module in modules]


def cells_of(layers: Sequence[FreezeLayer], arrivals: Sequence[Arrival | None], before: Bits, after: Bits) -> tuple[FreezeCell, ...]:
    """One cell for each layer, from what arrived there and from its bits before and after the step."""
    return tuple(
        FreezeCell(arrival, old[0] != new[0] if old[0] else None, old[1] != new[1] if row.buffers else None)
        for row, arrival, old, new in zip(layers, arrivals, before, after, strict=True)
    )


def moody_among(chosen: Mapping[str, Module]) -> tuple[Moody, ...]:
    """Those of `chosen` (by path) that hold modules whose mode matters."""
    return tuple(Moody(path, kinds) for path, module in chosen.items() if (kinds := _moody_kinds(module)))


def _moody_kinds(module: Module) -> tuple[str, ...]:
    """Classes of the modules in it that do something else in train mode."""
    found = {type(inner).__name__ for inner in module.modules() if isinstance(inner, (*_NORMS, _DropoutNd))}
    return tuple(sorted(found))


def synchronize() -> None:
    """Waits for the device, where there is one in use, so that a clock means something."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
