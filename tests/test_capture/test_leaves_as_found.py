"""gradflow leaves the program as it found it: what a loop computes under `watch` is bit-equal, and `audit` puts everything back."""

from __future__ import annotations

import copy
import gc
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from programs import mean_square
from state import callables, hooks, random_state, same
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

import gradflow

Loop = Callable[[nn.Module, torch.optim.Optimizer, torch.Tensor], list[float]]


class Noisy(nn.Module):
    """Dropout, BatchNorm and a cut, so that recording has something to explain; draws from three random sources."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.still = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.3)
        self.outer = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = 1 + random.random() + np.random.rand()
        h = self.still(self.norm(self.drop(self.inner(x)))).detach()
        return self.outer(h * scale + x)


def build() -> tuple[Noisy, torch.optim.Optimizer, torch.Tensor]:
    """The same model, optimizer and input each time, and the same random state after."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    model = Noisy()
    model.still.eval()
    return model, torch.optim.Adam(model.parameters(), lr=0.01), torch.randn(8, 4)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, steps: int = 3) -> list[float]:
    """The losses of a few plain steps."""
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = mean_square(model(x))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def watched(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> list[float]:
    """The losses of the same steps while gradflow watches."""
    with gradflow.watch(model, optimizer):
        return train(model, optimizer, x)


def audited(model: nn.Module, optimizer: torch.optim.Optimizer | None, x: torch.Tensor, **options: Any) -> gradflow.Report:
    """An audit that really takes three steps and finds the cut."""
    report = gradflow.audit(model, (x,), loss=mean_square, optimizer=optimizer, steps=3, **options)
    assert [finding.code for finding in report.findings if finding.reason == "detach"] == ["GF101"]
    return report


def after(run: Loop) -> tuple[Noisy, torch.optim.Optimizer, list[float]]:
    """Model, optimizer and losses after `run` on a fresh build."""
    model, optimizer, x = build()
    losses = run(model, optimizer, x)
    return model, optimizer, losses


def test_losses_are_bit_equal_while_watched() -> None:
    assert after(watched)[2] == after(train)[2]


def test_gradients_are_bit_equal_while_watched() -> None:
    plain, seen = after(train)[0], after(watched)[0]
    gradients = [{name: parameter.grad for name, parameter in model.named_parameters()} for model in (plain, seen)]
    assert gradients[0]["inner.weight"] is None
    assert same(gradients[0], gradients[1])


def test_weights_buffers_and_optimizer_state_are_bit_equal_while_watched() -> None:
    plain, seen = after(train), after(watched)
    assert same(plain[0].state_dict(), seen[0].state_dict())
    assert same(plain[1].state_dict(), seen[1].state_dict())


def test_random_state_is_the_same_after_a_watched_loop() -> None:
    after(train)
    plain = random_state()
    after(watched)
    assert same(plain, random_state())


def test_an_audit_puts_random_state_back() -> None:
    model, optimizer, x = build()
    before = random_state()
    audited(model, optimizer, x)
    assert same(before, random_state())


def test_an_audit_puts_weights_and_buffers_back() -> None:
    model, optimizer, x = build()
    before = copy.deepcopy(model.state_dict())
    places = {name: value.data_ptr() for name, value in model.state_dict().items()}
    audited(model, optimizer, x)
    assert same(before, model.state_dict())
    assert places == {name: value.data_ptr() for name, value in model.state_dict().items()}


def test_an_audit_puts_zero_initialised_weights_back() -> None:
    model, _, x = build()
    nn.init.zeros_(model.outer.weight)
    audited(model, None, x)
    assert torch.count_nonzero(model.outer.weight) == 0


def test_an_audit_keeps_the_parameter_objects() -> None:
    model, optimizer, x = build()
    before = list(map(id, model.parameters()))
    audited(model, optimizer, x)
    assert before == list(map(id, model.parameters()))


def test_an_audit_puts_a_fresh_optimizer_back_to_fresh() -> None:
    model, optimizer, x = build()
    before = copy.deepcopy(optimizer.state_dict())
    audited(model, optimizer, x)
    assert same(before, optimizer.state_dict())
    assert len(optimizer.state) == 0


def test_an_audit_puts_the_state_of_a_used_optimizer_back() -> None:
    model, optimizer, x = build()
    train(model, optimizer, x)
    before = copy.deepcopy(optimizer.state_dict())
    audited(model, optimizer, x)
    assert same(before, optimizer.state_dict())
    train(model, optimizer, x, steps=1)


def test_an_audit_leaves_a_missing_gradient_missing() -> None:
    model, optimizer, x = build()
    audited(model, optimizer, x)
    assert [name for name, parameter in model.named_parameters() if parameter.grad is not None] == []


def test_an_audit_leaves_a_gradient_that_was_there_as_it_was() -> None:
    model, optimizer, x = build()
    mean_square(model(x)).backward()
    kept = model.outer.weight.grad
    assert kept is not None
    values = kept.clone()
    audited(model, optimizer, x)
    assert model.outer.weight.grad is kept
    assert torch.equal(kept, values)


@pytest.mark.parametrize("run", [watched, audited], ids=["watch", "audit"])
def test_each_submodule_keeps_its_own_mode(run: Loop) -> None:
    model, optimizer, x = build()
    before = {name: part.training for name, part in model.named_modules()}
    assert before["still"] is False and before[""] is True
    run(model, optimizer, x)
    assert before == {name: part.training for name, part in model.named_modules()}


@pytest.mark.parametrize("run", [watched, audited], ids=["watch", "audit"])
def test_requires_grad_of_each_parameter_stays(run: Loop) -> None:
    model, optimizer, x = build()
    model.norm.weight.requires_grad_(False)
    before = [parameter.requires_grad for parameter in model.parameters()]
    run(model, optimizer, x)
    assert before == [parameter.requires_grad for parameter in model.parameters()]


# Torch's own word on a backward hook of a module whose inputs need no gradient, with or without gradflow.
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("run", [watched, audited], ids=["watch", "audit"])
def test_hooks_of_modules_tensors_and_torch_are_as_before(run: Loop) -> None:
    model, optimizer, x = build()
    calls: list[str] = []
    model.outer.register_forward_hook(lambda *_: calls.append("forward"))
    model.outer.register_full_backward_hook(lambda *_: calls.append("backward"))
    model.outer.weight.register_hook(lambda _: calls.append("tensor"))
    model.outer.bias.register_post_accumulate_grad_hook(lambda _: calls.append("accumulated"))
    before = hooks(model)
    run(model, optimizer, x)
    assert hooks(model) == before
    assert set(calls) == {"forward", "backward", "tensor", "accumulated"}


def test_a_users_hooks_run_as_often_as_without_gradflow() -> None:
    counts = []
    for run in (train, watched):
        model, optimizer, x = build()
        calls: list[str] = []
        model.inner.register_forward_hook(lambda *_, calls=calls: calls.append("forward"))
        model.outer.weight.register_hook(lambda _, calls=calls: calls.append("tensor"))
        run(model, optimizer, x)
        counts.append(calls)
    assert counts[0] == counts[1]
    assert len(counts[0]) == 6


@pytest.mark.parametrize("run", [watched, audited], ids=["watch", "audit"])
def test_every_patched_callable_is_put_back(run: Loop) -> None:
    run(*build())  # what torch loads or caches on its first use is there from here on
    before = callables()
    run(*build())
    now = callables()
    assert [name for name in before.keys() | now.keys() if before.get(name) is not now.get(name)] == []


@pytest.mark.parametrize("run", [watched, audited], ids=["watch", "audit"])
def test_no_mode_stays_on(run: Loop) -> None:
    before = (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled(), torch.get_default_dtype())
    run(*build())
    assert _get_current_function_mode_stack() == []
    assert _get_current_dispatch_mode_stack() == []
    after_run = (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled(), torch.get_default_dtype())
    assert after_run == before
    assert gc.isenabled()


def test_an_exception_in_a_watched_loop_is_the_users_own_and_everything_is_put_back() -> None:
    model, optimizer, x = build()
    watched(*build())
    before_hooks, before_callables = hooks(model), callables()
    with pytest.raises(ZeroDivisionError), gradflow.watch(model, optimizer):
        train(model, optimizer, x, steps=2)
        raise ZeroDivisionError
    assert hooks(model) == before_hooks
    now = callables()
    assert [name for name in now if before_callables.get(name) is not now[name]] == []
    assert _get_current_function_mode_stack() == []


def test_an_audit_of_a_model_that_raises_puts_everything_back() -> None:
    model, optimizer, x = build()
    before, state = copy.deepcopy(model.state_dict()), random_state()

    def fail(_: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError

    with pytest.raises((ZeroDivisionError, gradflow.GradflowError)):
        gradflow.audit(model, (x,), loss=fail, optimizer=optimizer, steps=3).raise_for_findings()
    assert same(before, model.state_dict())
    assert same(state, random_state())
    assert _get_current_function_mode_stack() == []


@pytest.mark.parametrize("run", [watched, audited], ids=["watch", "audit"])
def test_nothing_is_printed_and_the_warning_filters_stay(run: Loop, capfd: pytest.CaptureFixture[str]) -> None:
    filters = list(warnings.filters)
    run(*build())
    assert capfd.readouterr() == ("", "")
    assert warnings.filters == filters
