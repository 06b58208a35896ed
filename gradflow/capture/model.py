"""Audits a live model: one real forward and backward, everything put back afterwards.

Two phases. The first runs plainly and only walks autograd's graph; where every parameter turns out live that is all, and costs a few per
cent of a step. Only where there is something to explain the step runs again from the same state, recorded.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from gradflow.capture.fake import FakeMode
from gradflow.capture.state import Snapshot, leaves_in
from gradflow.capture.surrogate import project
from gradflow.capture.training.numbers import is_all_zero
from gradflow.capture.training.session import Session
from gradflow.errors import NothingToAudit, UsageError
from gradflow.graph.recording import Recording, Target
from gradflow.verdict import Verdict, judge_step

_JITTER = 1e-3


def audit_model(
    model: torch.nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    loss: Callable[..., torch.Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    steps: int = 1,
    target: Target,
    draws: bool = False,
    focus: Sequence[str] = (),
    fake: FakeMode | None = None,
    others: Callable[[], Sequence[OtherCall]] = tuple,
    name: str = "",
) -> Recording:
    """The recording of `steps` training steps of `model(*args, **kwargs)`.

    Without an optimizer nothing is stepped, and parameters that are all zero are jittered first, so that a zero start hides nothing.
    `draws`: the backward graph is drawn too. Of the parameters that a pattern in `focus` names more is told, and the flow is recorded.
    `fake`: the mode that is on and that the model was built in; the flow is recorded then, since the run costs next to nothing.
    `others`: further calls of the model, asked for where the first leaves a parameter without a gradient; each is a step then.
    `name`: what the model is called where no variable of the program's holds it.

    Raises:
        NothingToAudit: where the output holds nothing to take a gradient of.
    """
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"expected a torch.nn.Module to audit, found {type(model).__name__}; pass the model itself")
    if steps < 1:
        raise UsageError(f"expected at least one step, found steps={steps}")
    run = TrainingStep(model, args, kwargs or {}, loss, optimizer)
    if not focus and fake is None:
        with Snapshot(model, args, kwargs or {}, optimizer):
            recording, strange = _watched(run, steps, target, trace=False, draws=draws, name=name)
        if not strange and not _needs_explaining(recording):
            return recording
    run.others = tuple(others()) if fake is None else ()
    steps += len(run.others)
    with Snapshot(model, args, kwargs or {}, optimizer):
        recording, _ = _watched(run, steps, target, trace=True, draws=draws, focus=focus, name=name)
    return recording if fake is None else replace(recording, notes=(*recording.notes, *fake.notes))


@dataclass(frozen=True, slots=True)
class OtherCall:
    """A further call of the same model: its inputs, and whether the model is in training mode then."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    training: bool


class TrainingStep:
    """One training step of the audited call; after the first, of the `others`, each once."""

    def __init__(
        self,
        model: torch.nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        loss: Callable[..., torch.Tensor] | None,
        optimizer: torch.optim.Optimizer | None,
    ) -> None:
        self.model = model
        self.args = args
        self.kwargs = kwargs
        self.loss = loss
        self.optimizer = optimizer
        self.others: tuple[OtherCall, ...] = ()

    def take(self, number: int = 0) -> None:
        """Forward, loss, backward, and the optimizer's step where there is one."""
        if 0 < number <= len(self.others):
            other = self.others[number - 1]
            self.args, self.kwargs = other.args, other.kwargs
            self.model.train(other.training)
        if self.optimizer is not None:
            self.optimizer.zero_grad()
        value = self.loss_value()
        if value.requires_grad:
            value.backward()
        else:
            _backward_of_nothing(value)
        if self.optimizer is not None:
            self.optimizer.step()

    def loss_value(self) -> torch.Tensor:
        """The loss of one forward pass.

        Raises:
            NothingToAudit: where the output holds nothing to make a loss of.
            UsageError: where the loss function returns no tensor.
        """
        forward = self.model
        output = forward(*self.args, **self.kwargs)
        value = project(output) if self.loss is None else self._own_loss(output)
        if value is None:
            raise NothingToAudit(f"{type(self.model).__name__} returned no floating tensor, so there is no loss to take a gradient of")
        if not isinstance(value, torch.Tensor):
            raise UsageError(f"expected the loss function to return a tensor, found {type(value).__name__}; return the loss itself")
        return value

    def _own_loss(self, output: Any) -> Any:
        assert self.loss is not None
        original = self.loss
        return original(self.model, output) if _takes_two(original) else original(output)


def _backward_of_nothing(value: torch.Tensor) -> None:
    """A backward pass from an output that needs no gradient: it fails, and that it was tried is the fact to note."""
    try:
        value.backward()
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise


def _takes_two(loss: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(required) == 2


def _watched(
    run: TrainingStep, steps: int, target: Target, *, trace: bool, draws: bool, focus: Sequence[str] = (), name: str = ""
) -> tuple[Recording, bool]:
    """The recording, and whether a gradient came to leaves that are none of the model's: made anew in its forward, or held by nobody."""
    session = Session(steps=steps, trace=trace, draws=draws, focus=focus)
    session.install()
    try:
        for module in run.model.modules():
            session.registry.add(module, None)
        if run.optimizer is not None:
            session.optimizers.add(run.optimizer, None)
        else:
            _jitter(run.model)
        with torch.enable_grad():
            for number in range(steps):
                run.take(number)
        session.uninstall()
        session.look(sys._getframe(1))
        for root in session.roots:
            root.name = root.name or (name if root.module is run.model else "")
        recording = session.recording(target)
        return recording, _has_strangers(session, run)
    finally:
        session.uninstall()


def _has_strangers(session: Session, run: TrainingStep) -> bool:
    known = {serial for member in session.members for serial in member.leaves}
    given = [session.trace.leaf(tensor) for tensor in leaves_in((run.args, run.kwargs))]
    known.update(leaf.serial for leaf in given if leaf is not None)
    return any(serial not in known for entry in session.passes.seen for serial in entry.reached)


def _jitter(model: torch.nn.Module) -> None:
    """Makes parameters that are all zero a little different from zero: behind one of them, healthy gradients would be zero too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad(), torch._C.DisableTorchFunction():
        for parameter in model.parameters():
            if not isinstance(parameter, UninitializedTensorMixin) and parameter.is_floating_point() and is_all_zero(parameter):
                noise = torch.randn(parameter.shape, generator=generator) * _JITTER
                parameter.copy_(noise.to(parameter))


def _needs_explaining(recording: Recording) -> bool:
    for fact in recording.parameters:
        if fact.requires_grad and not any(judge_step(step) is Verdict.LIVE for step in fact.steps):
            return True
    return not recording.parameters or recording.backward_passes == 0
