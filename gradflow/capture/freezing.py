"""Freezes layers of a live model in every way that people use, takes one real step each, and puts everything back."""

from __future__ import annotations

import difflib
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]
from torch.utils._pytree import tree_leaves, tree_map_only

from gradflow.capture.launch.attribute import load_model
from gradflow.capture.launch.inputs import InputSpec
from gradflow.capture.launch.leaving import last_line
from gradflow.capture.launch.target import TargetSpec
from gradflow.capture.launch.their_traceback import format_theirs, is_ours
from gradflow.capture.model import TrainingStep
from gradflow.capture.state import Snapshot
from gradflow.capture.training.numbers import fingerprints, is_all_zero, local
from gradflow.errors import GradflowError, TargetCrashed, UsageError
from gradflow.graph.freezing import Arrival, FreezeCell, FreezeColumn, FreezeComparison, FreezeLayer, FreezeWay, Moody

ROUNDS = 5
PATIENCE = 2.0
"""Seconds that timing one way may take: then what was timed so far is the answer."""
_RATE = 0.01
_NORMS = (torch.nn.modules.batchnorm._NormBase,)

Module = torch.nn.Module


def measure_freezing(
    model: Module,
    patterns: Sequence[str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    loss: Callable[..., torch.Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> FreezeComparison:
    """The comparison, without statements: `patterns` are paths of modules, `*` allowed. Without an optimizer SGD steps.

    Raises:
        UsageError: a pattern fits no module, or the optimizer needs a closure.
        NothingToAudit: where the output holds nothing to make a loss of.
    """
    if not isinstance(model, Module):
        raise UsageError(f"expected a torch.nn.Module, found {type(model).__name__}; pass the model itself")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise UsageError("expected an optimizer whose step needs no closure, found LBFGS: give another one, or none")
    chosen = find_layers(model, patterns)
    return _Experiment(model, chosen, args, kwargs, loss, optimizer).run()


def freeze_target(spec: TargetSpec, layers: Sequence[str], *, inputs: tuple[InputSpec, ...], loss: str, seed: int) -> FreezeComparison:
    """The comparison for the model that `spec` names, built here with that seed.

    Raises:
        TargetCrashed: the user's own code raised, or ended the program.
        GradflowError: the target, the inputs or a layer are not as expected.
    """
    torch.manual_seed(seed)
    try:
        model, args, kwargs, function = load_model(spec, inputs, loss)
        return measure_freezing(model, layers, args, kwargs, loss=function)
    except GradflowError:
        raise
    except SystemExit as error:
        raise TargetCrashed(f"the file ended itself by sys.exit({error.code!r}) while it was imported", "") from error
    except Exception as error:
        if is_ours(error):
            raise
        text = format_theirs(error)
        raise TargetCrashed(f"the program raised: {last_line(text)}", text) from error


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


class _Experiment:
    def __init__(
        self,
        model: Module,
        chosen: dict[str, Module],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        loss: Callable[..., torch.Tensor] | None,
        optimizer: torch.optim.Optimizer | None,
    ) -> None:
        self.model, self.chosen, self.args, self.kwargs = model, chosen, args, kwargs
        self.step = TrainingStep(model, args, kwargs, loss, None)
        self.given = optimizer
        self.optimizer = optimizer

    def run(self) -> FreezeComparison:
        self._warm_up()
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if not trainable:
            raise UsageError(f"no parameter of {type(self.model).__name__} requires a gradient, so there is nothing to freeze")
        self.optimizer = self.given or torch.optim.SGD(trainable, lr=_RATE)
        layers = self._layers()
        plain = self._column(FreezeWay.NOTHING, layers, None)
        columns = [plain, *(self._column(way, layers, plain) for way in FreezeWay if way is not FreezeWay.NOTHING)]
        seconds = self._time([column.way for column in columns if not column.failure])
        return FreezeComparison(
            model=type(self.model).__name__,
            chosen=tuple(self.chosen),
            optimizer=type(self.optimizer).__name__,
            layers=tuple(layers),
            columns=tuple(replace(column, backward_seconds=seconds.get(column.way)) for column in columns),
            moody=tuple(Moody(path, kinds) for path, module in self.chosen.items() if (kinds := _moody(module))),
        )

    def _warm_up(self) -> None:
        """One pass that counts for nothing: lazy modules learn their shapes, and libraries load what they need."""
        lazy = any(isinstance(parameter, UninitializedTensorMixin) for parameter in self.model.parameters())
        if lazy:
            raise UsageError("the model has lazy modules that have not run yet: call it once, so that their shapes are known")
        with Snapshot(self.model, self.args, self.kwargs, self.given), torch.enable_grad():
            value = self.step.loss_value()
            if not value.requires_grad:
                raise UsageError("the loss needs no gradient even with nothing frozen: audit the model first, with `gradflow audit`")
            value.backward()

    def _layers(self) -> list[FreezeLayer]:
        rows = []
        for path, module in self.model.named_modules():
            own, buffers = list(module.parameters(recurse=False)), list(module.buffers(recurse=False))
            if own or buffers:
                frozen = any(path == other or _above(other, path) for other in self.chosen)
                rows.append(FreezeLayer(path, type(module).__name__, frozen, sum(value.numel() for value in own), len(buffers)))
        return rows

    def _column(self, way: FreezeWay, layers: list[FreezeLayer], plain: FreezeColumn | None) -> FreezeColumn:
        assert self.optimizer is not None
        with Snapshot(self.model, self.args, self.kwargs, self.optimizer), self._frozen(way), torch.enable_grad():
            before = self._read(layers)
            sizes: dict[int, int] = {}
            failure = ""
            try:
                with _counted(sizes, self._kept_anyway()):
                    value = self.step.loss_value()
                saved = sum(sizes.values())
                if value.requires_grad:
                    value.backward()
                else:
                    failure = "the loss needs no gradient, so that `backward()` raises"
            except Exception as error:
                if plain is None:
                    raise
                saved, failure = 0, f"{type(error).__name__}: {error}"
            arrivals = [_arrival(self.model.get_submodule(row.path)) for row in layers]
            if not failure:
                self.optimizer.step()
            cells = _cells(layers, arrivals, before, self._read(layers))
        died = () if plain is None else _died(layers, plain.cells, cells)
        return FreezeColumn(way, cells, died, saved, None, failure)

    def _kept_anyway(self) -> set[int]:
        """Memory that is there without a backward pass: parameters, buffers, inputs."""
        values = [*self.model.parameters(), *self.model.buffers(), *tree_leaves((self.args, self.kwargs))]
        return {_address(value) for value in values if isinstance(value, torch.Tensor)}

    def _read(self, layers: list[FreezeLayer]) -> list[tuple[list[int], list[int]]]:
        modules = [self.model.get_submodule(row.path) for row in layers]
        return [
            (fingerprints(list(module.parameters(recurse=False))), fingerprints(list(module.buffers(recurse=False)))) for module in modules
        ]

    def _time(self, ways: list[FreezeWay]) -> dict[FreezeWay, float]:
        """Seconds of a backward pass, by way: the median of rounds in which all ways take turns. Nothing is stepped."""
        found: dict[FreezeWay, list[float]] = {way: [] for way in ways}
        begun = time.perf_counter()
        with Snapshot(self.model, self.args, self.kwargs, self.optimizer), torch.enable_grad():
            for _ in range(ROUNDS):
                for way in ways:
                    with self._frozen(way):
                        found[way].append(self._backward_seconds())
                if time.perf_counter() - begun > PATIENCE * len(ways):
                    break
        return {way: statistics.median(seconds) for way, seconds in found.items()}

    def _backward_seconds(self) -> float:
        value = self.step.loss_value()
        _synchronize()
        start = time.perf_counter()
        value.backward()
        _synchronize()
        seconds = time.perf_counter() - start
        for parameter in self.model.parameters():
            parameter.grad = None
        return seconds

    @contextmanager
    def _frozen(self, way: FreezeWay) -> Iterator[None]:
        """Inside, the chosen layers are frozen that way."""
        modules = list(self.chosen.values())
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
                with _left_out(self.optimizer, parameters.keys()):
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
def _left_out(optimizer: torch.optim.Optimizer | None, parameters: Iterable[int]) -> Iterator[None]:
    groups = [] if optimizer is None else [(group, group["params"]) for group in optimizer.param_groups]
    chosen = set(parameters)
    try:
        for group, held in groups:
            group["params"] = [value for value in held if id(value) not in chosen]
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
def _counted(sizes: dict[int, int], kept_anyway: set[int]) -> Iterator[None]:
    """Fills `sizes` (bytes, by address) with what autograd keeps for the backward pass."""

    def pack(value: torch.Tensor) -> torch.Tensor:
        address = _address(value)
        if address and address not in kept_anyway:
            sizes[address] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        yield


def _address(value: torch.Tensor) -> int:
    value = local(value)
    return value.untyped_storage().data_ptr() if value.layout is torch.strided else 0


def _arrival(module: Module) -> Arrival | None:
    own = list(module.parameters(recurse=False))
    if not own:
        return None
    grads = [value.grad for value in own if value.grad is not None]
    if not grads:
        return Arrival.NONE
    return Arrival.ZERO if all(is_all_zero(grad.to_dense() if grad.is_sparse else grad) for grad in grads) else Arrival.ARRIVES


def _cells(
    layers: list[FreezeLayer],
    arrivals: list[Arrival | None],
    before: list[tuple[list[int], list[int]]],
    after: list[tuple[list[int], list[int]]],
) -> tuple[FreezeCell, ...]:
    return tuple(
        FreezeCell(arrival, old[0] != new[0] if old[0] else None, old[1] != new[1] if row.buffers else None)
        for row, arrival, old, new in zip(layers, arrivals, before, after, strict=True)
    )


def _died(layers: list[FreezeLayer], plain: tuple[FreezeCell, ...], cells: tuple[FreezeCell, ...]) -> tuple[str, ...]:
    return tuple(
        row.path
        for row, was, now in zip(layers, plain, cells, strict=True)
        if not row.frozen and was.gradient is Arrival.ARRIVES and now.gradient is not Arrival.ARRIVES
    )


def _moody(module: Module) -> tuple[str, ...]:
    """Classes of the modules in it that do something else in train mode."""
    found = {type(inner).__name__ for inner in module.modules() if isinstance(inner, (*_NORMS, _DropoutNd))}
    return tuple(sorted(found))


def _synchronize() -> None:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
