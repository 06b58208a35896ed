"""Freezes layers of a live model in every way that people use, takes one real step each, and puts everything back."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]
from torch.utils._pytree import tree_leaves

from gradflow.capture.freeze_ways import (
    PATIENCE,
    ROUNDS,
    Module,
    address_of,
    arrival_at,
    cells_of,
    counted,
    find_layers,
    frozen_by,
    layers_of,
    moody_among,
    read_bits,
    synchronize,
)
from gradflow.capture.launch.attribute import load_model
from gradflow.capture.launch.job import Job
from gradflow.capture.launch.leaving import last_line
from gradflow.capture.launch.their_traceback import format_theirs, is_ours
from gradflow.capture.model import TrainingStep
from gradflow.capture.state import Snapshot
from gradflow.errors import GradflowError, TargetCrashed, UsageError
from gradflow.graph.freezing import FreezeColumn, FreezeComparison, FreezeLayer, FreezeWay, died_of

_RATE = 0.01


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


def freeze_target(job: Job) -> FreezeComparison:
    """The comparison for the model that the job names, built here with its seed; inputs that are not given are guessed.

    Raises:
        TargetCrashed: the user's own code raised, or ended the program.
        GradflowError: the target, the inputs or a layer are not as expected.
    """
    torch.manual_seed(job.seed or 0)
    try:
        with contextlib.ExitStack() as stack:
            model, args, kwargs, function = load_model(job, stack)
            return measure_freezing(model, job.layers, args, kwargs, loss=function)
    except GradflowError:
        raise
    except SystemExit as error:
        raise TargetCrashed(f"the file ended itself by sys.exit({error.code!r}) while it was imported", "") from error
    except Exception as error:
        if is_ours(error):
            raise
        text = format_theirs(error)
        raise TargetCrashed(f"the program raised: {last_line(text)}", text) from error


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
        layers = layers_of(self.model, self.chosen)
        plain = self._column(FreezeWay.NOTHING, layers, None)
        columns = [plain, *(self._column(way, layers, plain) for way in FreezeWay if way is not FreezeWay.NOTHING)]
        seconds = self._time([column.way for column in columns if not column.failure])
        return FreezeComparison(
            model=type(self.model).__name__,
            chosen=tuple(self.chosen),
            optimizer=type(self.optimizer).__name__,
            layers=tuple(layers),
            columns=tuple(replace(column, backward_seconds=seconds.get(column.way)) for column in columns),
            moody=moody_among(self.chosen),
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

    def _column(self, way: FreezeWay, layers: list[FreezeLayer], plain: FreezeColumn | None) -> FreezeColumn:
        assert self.optimizer is not None
        with Snapshot(self.model, self.args, self.kwargs, self.optimizer), self._frozen(way), torch.enable_grad():
            before = read_bits(self.model, layers)
            sizes: dict[int, int] = {}
            failure = ""
            try:
                with counted(sizes, self._kept_anyway()):
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
            arrivals = [arrival_at(self.model.get_submodule(row.path)) for row in layers]
            if not failure:
                self.optimizer.step()
            cells = cells_of(layers, arrivals, before, read_bits(self.model, layers))
        died = () if plain is None else died_of(layers, plain.cells, cells)
        return FreezeColumn(way, cells, died, saved, None, failure)

    def _kept_anyway(self) -> set[int]:
        """Memory that is there without a backward pass: parameters, buffers, inputs."""
        values = [*self.model.parameters(), *self.model.buffers(), *tree_leaves((self.args, self.kwargs))]
        return {address_of(value) for value in values if isinstance(value, torch.Tensor)}

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
        synchronize()
        start = time.perf_counter()
        value.backward()
        synchronize()
        seconds = time.perf_counter() - start
        for parameter in self.model.parameters():
            parameter.grad = None
        return seconds

    def _frozen(self, way: FreezeWay) -> AbstractContextManager[None]:
        return frozen_by(way, list(self.chosen.values()), [] if self.optimizer is None else [self.optimizer])
