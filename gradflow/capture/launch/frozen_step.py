"""One training step of a program with layers frozen in one way, from the call in which it begins to where its optimizers have stepped.

For a process that ends with the step.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch.utils._pytree import tree_leaves

from gradflow.capture.freeze_ways import address_of, cells_of, counted, frozen_by, layers_of, read_bits, synchronize
from gradflow.capture.launch.freeze_subject import Subject
from gradflow.capture.training.numbers import is_all_zero
from gradflow.graph.freezing import Arrival, FreezeCell, FreezeLayer, FreezeWay

NO_GRAPH = "the loss needs no gradient, so that `backward()` raises"


@dataclass(frozen=True, slots=True)
class StepTaken:
    """What a step did, by layer. `seconds`: of its backward passes, None where there was none; `saved_bytes` as in `FreezeColumn`.

    `failure`: why there is no step, empty where there is one; `cells` is empty where nothing was read then. `traceback` is the program's
    own, where it raised.
    """

    cells: tuple[FreezeCell, ...] = ()
    saved_bytes: int = 0
    seconds: float | None = None
    failure: str = ""
    traceback: str = ""


class FrozenStep:
    """The step that begins now. `tell` is handed what it did, and does not return."""

    def __init__(
        self, subject: Subject, holders: list[torch.optim.Optimizer], way: FreezeWay, tell: Callable[[StepTaken], NoReturn]
    ) -> None:
        self._subject = subject
        self._layers: list[FreezeLayer] = layers_of(subject.model, subject.chosen)
        self._holders = {id(optimizer) for optimizer in holders}
        self._optimizers = holders
        self._stepped: set[int] = set()
        self._tell = tell
        self._way = way
        self._arrived: dict[int, bool] = {}
        self._sizes: dict[int, int] = {}
        self._saved = -1
        self._seconds: list[float] = []
        self._open = 0
        self._blocks = contextlib.ExitStack()

    def begin(self, inputs: Any) -> None:
        """Freezes the layers; `inputs` of the model's call are no memory that a backward pass needs."""
        model = self._subject.model
        with torch._C.DisableTorchFunction():
            self._before = read_bits(model, self._layers)
            kept = {address_of(value) for value in (*model.parameters(), *model.buffers(), *tree_leaves(inputs)) if _is_tensor(value)}
        self._blocks.enter_context(frozen_by(self._way, list(self._subject.chosen.values()), self._optimizers))
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._note_arrival)
        if self._way is FreezeWay.LEFT_OUT and not self._holders:
            self.end("no optimizer holds it: the program moves its weights itself")
        self._blocks.enter_context(counted(self._sizes, kept))

    def undo(self) -> None:
        """Unfreezes the layers; what the step did to them is done."""
        self._blocks.close()

    def call_begins(self) -> None:
        """The model is called once more: the step is over, if one was taken."""
        if self._stepped or (self._seconds and not self._holders):
            self.end()

    def run_backward(self, original: Callable[[], Any]) -> Any:
        """A backward pass, timed where it is an outermost one."""
        if self._open:
            return original()
        if self._saved < 0:
            self._saved = sum(self._sizes.values())
        self._open += 1
        try:
            synchronize()
            start = time.perf_counter()
            out = original()
            synchronize()
            self._seconds.append(time.perf_counter() - start)
            return out
        finally:
            self._open -= 1

    def stepped(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped; when all have that hold the model's parameters, the step is over."""
        if id(optimizer) in self._holders:
            self._stepped.add(id(optimizer))
            if self._stepped == self._holders:
                self.end()

    def program_ends(self, error: BaseException | None, traceback: str) -> NoReturn:
        """The program has come to its end, or raised, inside of the step."""
        if isinstance(error, RuntimeError) and "does not require grad" in str(error):
            self.end(NO_GRAPH, traceback)
        if error is not None:
            self.end(f"{type(error).__name__}: {error}", traceback)
        has_step = bool(self._stepped) or (bool(self._seconds) and not self._holders)
        self.end("" if has_step else "the program ended before the step did")

    def end(self, failure: str = "", traceback: str = "") -> NoReturn:
        """Tells what was done so far."""
        with torch._C.DisableTorchFunction():
            arrivals = [self._arrival(row) for row in self._layers]
            cells = cells_of(self._layers, arrivals, self._before, read_bits(self._subject.model, self._layers))
        saved = 0 if failure else max(self._saved, 0)
        self._tell(StepTaken(cells, saved, sum(self._seconds) if self._seconds and not failure else None, failure, traceback))

    def _note_arrival(self, parameter: torch.Tensor) -> None:
        grad = parameter.grad
        if grad is not None:
            with torch.no_grad(), torch._C.DisableTorchFunction():
                zero = is_all_zero(grad.to_dense() if grad.is_sparse else grad)
            self._arrived[id(parameter)] = not zero or self._arrived.get(id(parameter), False)

    def _arrival(self, row: FreezeLayer) -> Arrival | None:
        own = list(self._subject.model.get_submodule(row.path).parameters(recurse=False))
        if not own:
            return None
        found = [self._arrived[id(value)] for value in own if id(value) in self._arrived]
        return Arrival.NONE if not found else Arrival.ARRIVES if any(found) else Arrival.ZERO


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
