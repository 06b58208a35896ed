"""`gradflow.watch` over a whole training: what it sees late, what it keeps, and that it leaves nothing in place between watched steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

import gradflow
from gradflow.capture.training.later_steps import HISTORY_AT_MOST, thinned
from gradflow.errors import UsageError
from gradflow.graph.recording import StepFact
from gradflow.report import Finding, Report

CALL, INIT = nn.Module.__call__, torch.optim.Optimizer.__init__


class Passing(TorchFunctionMode):
    """A mode of the program's own, which lets everything through."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def modes() -> list[object]:
    return list(_get_current_function_mode_stack())  # type: ignore[no-untyped-call]


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, change: Callable[[int], None] = lambda step: None) -> None:
    for step in range(1, steps + 1):
        change(step)
        optimizer.zero_grad()
        model(torch.randn(16, 4)).square().mean().backward()
        optimizer.step()


def fill(tensor: torch.Tensor | nn.Module, value: float) -> None:
    assert isinstance(tensor, torch.Tensor)
    with torch.no_grad():
        tensor.fill_(value)


def watched(change: Callable[[nn.Sequential, int], None], steps: int, every: int) -> Report:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gradflow.watch(model, optimizer, every=every) as flow:
        train(model, optimizer, steps, lambda step: change(model, step))
    return flow.report


def test_a_relu_that_dies_at_step_57_is_told_between_steps_50_and_60_with_its_line() -> None:
    report = watched(lambda model, step: fill(model[0].bias, -1000.0) if step == 57 else None, 100, 10)
    finding = next(finding for finding in report.findings if "0.weight" in finding.parameters)
    assert (finding.code, finding.reason, report.outcome.value) == ("GF201", "parameter", "findings")
    assert "at step 50, and none at step 60" in finding.notes[0]
    assert finding.cause is not None
    assert "model(torch.randn(16, 4))" in finding.cause.source
    row = next(row for row in report.parameters if row.name == "0.weight")
    told = {entry.step: entry.verdict.value for entry in row.history}
    assert (told[50], told[60], told[100]) == ("live", "zero", "zero")


def test_nan_at_step_33_is_told_between_steps_30_and_40() -> None:
    report = watched(lambda model, step: fill(model[2].weight, float("nan")) if step == 33 else None, 60, 10)
    finding = next(finding for finding in report.findings if finding.code == "GF202")
    assert "at step 30, and none at step 40" in finding.notes[0]


def test_a_layer_that_is_cut_off_later_is_told() -> None:
    class Switching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enc, self.head, self.cut = nn.Linear(4, 8), nn.Linear(8, 2), False

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.enc(x)
            output: torch.Tensor = self.head(h.detach() if self.cut else h)
            return output

    model = Switching()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gradflow.watch(model, optimizer, every=5) as flow:
        train(model, optimizer, 20, lambda step: setattr(model, "cut", step > 7))
    (finding,) = flow.report.findings
    assert (finding.code, finding.reason, finding.parameters) == ("GF101", "detach", ("enc.weight", "enc.bias"))
    assert "at step 5, and none at step 10" in finding.notes[0]


def test_a_gradient_that_is_zero_at_one_watched_step_only_is_no_finding() -> None:
    def change(model: nn.Sequential, step: int) -> None:
        if step in (10, 11):
            fill(model[0].bias, -1000.0 if step == 10 else 0.0)

    assert watched(change, 40, 10).findings == ()


def test_a_healthy_training_has_no_finding_and_a_history_of_the_watched_steps() -> None:
    report = watched(lambda model, step: None, 45, 10)
    assert report.findings == ()
    assert {tuple(entry.step for entry in row.history) for row in report.parameters} == {(1, 2, 3, 10, 20, 30, 40)}
    assert report.ok


def test_on_finding_is_called_once_for_each_finding() -> None:
    model, heard = net(), list[Finding]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gradflow.watch(model, optimizer, every=5, on_finding=heard.append) as flow:
        train(model, optimizer, 60, lambda step: fill(model[0].bias, -1000.0) if step == 12 else None)
        assert [finding.code for finding in heard] == ["GF201", "GF201"]
    assert heard == list(flow.report.findings)


def test_what_on_finding_raises_ends_the_loop_and_nothing_is_left_in_place() -> None:
    def stop(finding: Finding) -> None:
        raise KeyboardInterrupt(finding.code)

    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with pytest.raises(KeyboardInterrupt, match="GF201"), gradflow.watch(model, optimizer, every=5, on_finding=stop):
        train(model, optimizer, 60, lambda step: fill(model[0].bias, -1000.0) if step == 12 else None)
    assert (nn.Module.__call__, torch.optim.Optimizer.__init__, modes()) == (CALL, INIT, [])


def test_between_watched_steps_no_mode_and_no_patch_is_in_place() -> None:
    model, seen = net(), list[tuple[int, bool, bool]]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def look(step: int) -> None:
        seen.append((step, bool(modes()), nn.Module.__call__ is not CALL))

    with gradflow.watch(model, optimizer, every=6):
        train(model, optimizer, 13, look)
    assert [step for step, mode, _ in seen if mode] == [1, 2, 3]
    assert [step for step, _, patched in seen if patched] == [1, 2, 3, 6, 12]


def test_a_mode_of_the_programs_own_stays_as_it_is_and_late_death_is_still_told() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gradflow.watch(model, optimizer, every=5) as flow, Passing() as mine:
        train(model, optimizer, 40, lambda step: fill(model[0].bias, -1000.0) if step == 12 else None)
        assert modes()[-1] is mine
    assert modes() == []
    (finding,) = (finding for finding in flow.report.findings if "0.weight" in finding.parameters)
    assert "at step 10, and none at step 15" in finding.notes[0]


def test_the_report_is_there_while_the_block_runs() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gradflow.watch(model, optimizer, every=5) as flow:
        train(model, optimizer, 1)
        assert {row.live_in for row in flow.report.parameters} == {(1, 1)}
        train(model, optimizer, 9)
        assert {row.live_in for row in flow.report.parameters} == {(5, 5)}


def test_without_an_optimizer_given_the_first_that_steps_is_counted() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gradflow.watch(model, every=4) as flow:
        train(model, optimizer, 9)
    assert [entry.step for entry in flow.report.parameters[0].history] == [1, 2, 3, 4, 8]


def test_two_optimizers_in_turns_are_both_seen_at_a_watched_step() -> None:
    one, other = net(), net()
    first, second = (torch.optim.SGD(model.parameters(), lr=0.01) for model in (one, other))
    with gradflow.watch(one, first, every=5) as flow:
        for _ in range(11):
            train(one, first, 1)
            train(other, second, 1)
    # The watch ends its first, recorded part at the third step of the first one, when the second has taken two.
    assert {row.live_in for row in flow.report.parameters} == {(5, 5), (4, 4)}
    assert flow.report.findings == ()


@pytest.mark.parametrize("every", [0, -1, 2.5, True])
def test_every_is_a_whole_number_of_steps(every: int) -> None:
    with pytest.raises(UsageError, match="expected every=N with a whole number"):
        gradflow.watch(net(), every=every)


def test_a_history_stays_bounded_and_keeps_both_sides_of_a_change() -> None:
    steps: tuple[StepFact, ...] = ()
    for number in range(1, 5001):
        steps = thinned((*steps, StepFact(number, True, True, grad_norm=0.0 if number > 2222 else 1.0)))
        assert len(steps) <= HISTORY_AT_MOST
    kept = [step.step for step in steps]
    assert kept[0] == 1
    assert kept[-1] == 5000
    assert {2222, 2223} <= set(kept)


def test_a_history_that_changes_at_every_step_stays_bounded() -> None:
    steps: tuple[StepFact, ...] = ()
    for number in range(1, 500):
        steps = thinned((*steps, StepFact(number, True, True, grad_norm=float(number % 2))))
    assert len(steps) <= HISTORY_AT_MOST


def test_watch_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    watched(lambda model, step: fill(model[0].bias, -1000.0) if step == 12 else None, 40, 5)
    assert capfd.readouterr() == ("", "")


def test_every_and_on_finding_are_keywords_only() -> None:
    parameters = inspect.signature(gradflow.watch).parameters
    assert {name for name, entry in parameters.items() if entry.kind is entry.KEYWORD_ONLY} == {"every", "on_finding"}


def test_a_function_that_was_compiled_before_is_one_call_and_still_compiled() -> None:
    model, aside = net(), nn.Linear(4, 4)

    @torch.compile(backend="eager")
    def loss_of(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            hidden = aside(x)
        loss: torch.Tensor = model(hidden).square().mean()
        return loss

    optimizer = torch.optim.SGD([*model.parameters(), *aside.parameters()], lr=0.1)
    expected = loss_of(torch.ones(2, 4)).item()
    with gradflow.watch(nn.ModuleDict({"model": model, "aside": aside}), optimizer) as flow:
        for number in range(5):
            optimizer.zero_grad()
            loss = loss_of(torch.ones(2, 4))
            loss.backward()
            optimizer.step()
            assert number or loss.item() == expected
    assert {row.name: row.verdict.value for row in flow.report.parameters if "bias" in row.name} == {
        "model.0.bias": "live", "model.2.bias": "live", "aside.bias": "severed"
    }  # fmt: skip
    (finding,) = flow.report.findings
    assert finding.message == "2 parameters are cut off from the loss by `compiled loss_of()`"
    assert finding.cause is not None and finding.cause.source.strip() == "loss = loss_of(torch.ones(2, 4))"


@pytest.mark.parametrize("dies", [20, None])
def test_a_loop_without_an_optimizer_is_watched_to_its_end(dies: int | None) -> None:
    model = net()
    seen: list[Finding] = []
    with gradflow.watch(model, every=10, on_finding=seen.append) as flow:
        for step in range(1, 61):
            if step == dies:
                fill(model[0].bias, -100.0)
            model(torch.randn(16, 4)).square().mean().backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    assert parameter.grad is not None
                    parameter -= 0.01 * parameter.grad
                    parameter.grad = None
    row = next(row for row in flow.report.parameters if row.name == "0.weight")
    assert [step.step for step in row.history] == [*range(1, 9), 10, 20, 30, 40, 50, 60]
    assert len(row.history) == 14
    codes = [finding.code for finding in seen]
    assert set(codes) == ({"GF201"} if dies else set())
    if dies:
        assert "between" in " ".join([seen[0].message, *seen[0].notes])
        assert row.live_in == (9, 14)
    assert (nn.Module.__call__, torch.optim.Optimizer.__init__) == (CALL, INIT)
    assert torch.autograd.graph._engine_run_backward.__module__.startswith("torch")
