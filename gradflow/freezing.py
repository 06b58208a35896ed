"""`gradflow.compare_freezing`: every way to freeze layers of a model, tried on the model itself. Composes the stages, prints nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradflow.capture.launch.job import Ending, Way
from gradflow.checks.naming import expression, listed
from gradflow.errors import GradflowError, InvariantError, TargetCrashed, TargetTimeout, UsageError
from gradflow.graph.freezing import FreezeCell, FreezeColumn, FreezeComparison, FreezeLayer, FreezeWay, died_of
from gradflow.graph.recording import Target, TargetKind

if TYPE_CHECKING:
    from gradflow.capture.launch.target import TargetSpec
    from gradflow.capture.torch_types import Module, Optimizer, Tensor

DEFAULT_TIMEOUT = 120.0
"""Seconds."""
_WORDS = {
    FreezeWay.NO_GRAD: "`no_grad` around the call",
    FreezeWay.DETACH: "`.detach()` on the output",
    FreezeWay.REQUIRES_GRAD: "`requires_grad=False`",
    FreezeWay.LEFT_OUT: "leaving it out of the optimizer",
    FreezeWay.EVAL: "`eval()`",
    FreezeWay.NOTHING: "nothing",
}


def compare_freezing(
    model: Module,
    layers: str | Sequence[str],
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    loss: Callable[..., Tensor] | None = None,
    optimizer: Optimizer | None = None,
) -> FreezeComparison:
    """What each way to freeze `layers` does to the model, measured by one real step of `model(*args, **kwargs)`. All is put back.

    Args:
        layers: paths of modules, as `lin1` or `encoder.*`.
        args: the positional inputs; one tensor stands for itself.
        loss: `loss(output)`, or `loss(model, output)` if it takes two. Default: as in `gradflow.audit`.
        optimizer: the one whose step is taken; SGD by default.

    Raises:
        UsageError: no module has such a path, or the optimizer needs a closure.
        NothingToAudit: where the output holds nothing to make a loss of.
    """
    # The capture of live models imports torch; `import gradflow.freezing` does not.
    from gradflow.capture.freezing import measure_freezing

    positional = args if isinstance(args, tuple) else tuple(args) if isinstance(args, list) else (args,)
    patterns = [layers] if isinstance(layers, str) else list(layers)
    return with_advice(measure_freezing(model, patterns, positional, dict(kwargs or {}), loss=loss, optimizer=optimizer))


def compare_target(
    spec: TargetSpec,
    layers: Sequence[str],
    *,
    step: int = 1,
    timeout: float = DEFAULT_TIMEOUT,
    inputs: tuple[Any, ...] = (),
    loss: str = "",
    seed: int | None = None,
    quiet: bool = False,
) -> FreezeComparison:
    """The comparison for a program, whose own training step is taken, or for a model that a file holds; in a child process.

    Args:
        step: the training step of a program that is taken once for each way.
        inputs: of a model, as `parse_input` reads them.
        timeout: seconds for all of it.
        seed: of all random numbers; for a model 0 by default, a program is left to itself.
        quiet: what the program prints goes nowhere, else to standard error.

    Raises:
        TargetCrashed: the user's own code raised, or ended itself.
        TargetTimeout: time ran out.
        GradflowError: the target, the model, its inputs or a layer are not as expected.
    """
    from gradflow.capture.launch.script import run_target

    until = time.monotonic() + timeout

    def run(way: str, quietly: bool) -> Ending:
        return run_target(
            spec,
            Target(TargetKind.MODULE if spec.is_attribute else TargetKind.SCRIPT, "", ""),
            steps=step,
            timeout=max(round(until - time.monotonic()), 1) if way else timeout,
            inputs=inputs,
            loss=loss,
            quiet=quietly,
            seed=seed,
            layers=tuple(layers),
            way=way,
        )

    ending = run("", quiet)
    if ending.alone:
        return with_advice(_one_by_one(ending.alone, lambda way: run(way.value, True)))
    if ending.frozen is None:
        raise _no_comparison(ending)
    return with_advice(ending.frozen)


def _one_by_one(reason: str, run: Callable[[FreezeWay], Ending]) -> FreezeComparison:
    """The comparison of runs in which the layers are frozen in one way each, where no fork can take a step, for that `reason`."""
    first = run(FreezeWay.NOTHING)
    if first.frozen is None:
        raise _no_comparison(first)
    plain, columns = first.frozen.columns[0], list(first.frozen.columns)
    for way in FreezeWay:
        if way is FreezeWay.NOTHING:
            continue
        found = run(way)
        if found.frozen is None:
            nothing = tuple(FreezeCell(None, None, None) for _ in plain.cells)
            columns.append(FreezeColumn(way, nothing, failure=str(_no_comparison(found))))
        else:
            column = found.frozen.columns[0]
            died = died_of(found.frozen.layers, plain.cells, column.cells) if column.cells else ()
            columns.append(replace(column, died=died))
    return replace(first.frozen, columns=tuple(columns), notes=(*first.frozen.notes, f"the program was run anew each time, since {reason}"))


def _no_comparison(ending: Ending) -> GradflowError:
    match ending.way:
        case Way.CRASHED | Way.EXITED | Way.LOST:
            raised = "" if ending.sentence.startswith("the ") else "the program raised: "
            return TargetCrashed(f"{raised}{ending.sentence}", ending.traceback)
        case Way.ASKED:
            return TargetTimeout(f"{ending.sentence.rstrip(',')} before the step had been taken in every way")
        case Way.BUG:
            return InvariantError(f"{ending.sentence}\n{ending.traceback}")
        case Way.REFUSED | Way.USAGE | Way.STOPPED | Way.ENDED:
            return UsageError(ending.sentence)


def with_advice(measured: FreezeComparison) -> FreezeComparison:
    """The comparison with the statements to paste, and notes on what the ways do by accident."""
    model = measured.variable
    names = {path: expression(model, path, prefixed=False) for path in measured.chosen}
    statements = [f"{name}.requires_grad_(False)" for name in names.values()]
    statements += [f"{names[entry.path]}.eval()  # after each {model}.train(): {', '.join(entry.kinds)}" for entry in measured.moody]
    held = f"(value for value in {model}.parameters() if value.requires_grad)"
    for optimizer in measured.optimizer.split(", ") if measured.optimizer else ():
        statements.append(f"optimizer = {optimizer if '.' in optimizer else f'torch.optim.{optimizer}'}({held}, ...)")
    return replace(measured, statements=tuple(statements), notes=(*measured.notes, *_notes(measured)))


def _notes(measured: FreezeComparison) -> list[str]:
    notes = []
    for column in measured.columns:
        words = _WORDS[column.way]
        if column.failure:
            notes.append(f"{words}: {column.failure}")
        elif column.died:
            verb = "does" if len(column.died) == 1 else "do"
            own = [path or measured.model for path in column.died]
            notes.append(f"{words} also stops {listed(own)}, which {verb} not learn any more: {_reason(column.way)}")
    stays = [row.path for row, cell in zip(measured.layers, measured.column("requires_grad").cells, strict=True) if _drifts(row, cell)]
    if stays:
        notes.append(f"with `requires_grad=False` alone the buffers of {listed(stays)} still move, in train mode")
    trained = [
        row.path for row, cell in zip(measured.layers, measured.column("eval").cells, strict=True) if row.frozen and cell.weights_moved
    ]
    if trained:
        notes.append(f"`eval()` freezes no weights: {listed(trained)} still {'moves' if len(trained) == 1 else 'move'}")
    if any(row.frozen for row in measured.layers):
        notes.append("in the middle of a training, also drop old gradients: `for value in layer.parameters(): value.grad = None`")
    return notes


def _drifts(row: FreezeLayer, cell: FreezeCell) -> bool:
    return bool(row.frozen and cell.buffers_moved)


def _reason(way: FreezeWay) -> str:
    if way in (FreezeWay.NO_GRAD, FreezeWay.DETACH):
        return "the gradient cannot pass through to what comes before"
    return "no gradient comes to it this way"
