"""What happens to a gradient outside autograd, and to a weight outside its optimizer: with the line, and each way to mean it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import torch
from torch import nn

import gradflow
from gradflow import Finding, Severity

Loop = Callable[[nn.Module, torch.optim.Optimizer, int], None]


class Net(nn.Module):
    """An embedding that is taken by rows, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.head(self.words(ids))
        return output


def loss_of(model: nn.Module) -> torch.Tensor:
    return nn.functional.cross_entropy(model(torch.randint(0, 6, (8,))), torch.randint(0, 3, (8,)))


def found(step: Loop, model: nn.Module | None = None, steps: int = 4) -> list[Finding]:
    """The findings of a loop of `steps` steps, the worst first."""
    torch.manual_seed(0)
    model = model or Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradflow.watch(model, optimizer) as flow:
        for number in range(steps):
            step(model, optimizer, number)
    return list(flow.report.findings)


def cause(finding: Finding) -> str:
    assert finding.cause is not None
    return finding.cause.source.strip()


def clipped_to_nothing(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    optimizer.zero_grad()
    loss_of(model).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.0)
    optimizer.step()


def test_clipping_to_a_norm_of_zero_is_named_with_its_line() -> None:
    (finding,) = found(clipped_to_nothing)
    assert (finding.code, finding.severity, finding.reason) == ("GF201", Severity.ERROR, "overwritten")
    assert cause(finding) == "nn.utils.clip_grad_norm_(model.parameters(), 0.0)"
    assert set(finding.parameters) == {"words.weight", "head.weight", "head.bias"}


def first_gradient_dropped(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    optimizer.zero_grad()
    loss_of(model).backward()
    next(model.parameters()).grad *= 0.0  # type: ignore[operator]
    optimizer.step()


def test_zeros_for_some_of_an_optimizers_gradients_are_a_way_to_freeze() -> None:
    (finding,) = found(first_gradient_dropped)
    assert (finding.code, finding.severity, finding.parameters) == ("GF201", Severity.INFO, ("words.weight",))


def plain(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    optimizer.zero_grad()
    loss_of(model).backward()
    optimizer.step()


def hooked(mask: torch.Tensor | None) -> list[Finding]:
    """A loop whose embedding has a hook on its gradient: a mask, or plain zeros."""
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradflow.watch(model, optimizer) as flow:
        if mask is not None:
            model.words.weight.register_hook(lambda grad: grad * mask)
        else:
            model.words.weight.register_hook(lambda grad: grad * 0.0)
        for number in range(3):
            plain(model, optimizer, number)
    return list(flow.report.findings)


def test_a_mask_that_lets_no_gradient_through_is_named_where_it_is_hooked_in() -> None:
    (finding,) = hooked(torch.zeros(6, 1))
    assert (finding.code, finding.severity, finding.reason) == ("GF201", Severity.ERROR, "hook")
    assert cause(finding) == "model.words.weight.register_hook(lambda grad: grad * mask)"


def test_a_mask_that_lets_some_rows_through_is_no_finding() -> None:
    assert hooked(torch.ones(6, 1)) == []


def test_a_hook_that_is_written_to_give_zeros_is_meant() -> None:
    (finding,) = hooked(None)
    assert (finding.code, finding.severity) == ("GF201", Severity.INFO)


def against_itself(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    optimizer.zero_grad()
    score = model(torch.randint(0, 6, (8,))).log_softmax(-1)[:, 0]
    ratio = torch.exp(score - score)
    (ratio * torch.randn(8)).mean().backward()
    optimizer.step()


def test_gradients_that_cancel_are_named_where_the_one_value_is_taken_twice() -> None:
    (finding,) = found(against_itself)
    assert (finding.code, finding.reason, cause(finding)) == ("GF201", "cancelled", "ratio = torch.exp(score - score)")


class Squeezed(nn.Module):
    """Each channel is a group of its own, over one pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Linear(4, 4, bias=False)
        self.norm = nn.GroupNorm(4, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        pooled = self.norm(self.squeeze(nn.functional.one_hot(ids % 4, 4).float())[..., None])
        output: torch.Tensor = self.head(pooled[..., 0] + 0.5)
        return output


def test_a_norm_over_one_element_hands_back_noise_which_counts_as_zero() -> None:
    (finding,) = found(plain, Squeezed())
    assert (finding.code, finding.reason) == ("GF201", "shape")
    assert set(finding.parameters) == {"squeeze.weight", "norm.weight"}


def resetting() -> Loop:
    state: dict[str, torch.Tensor] = {}

    def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
        state.update({} if state else copy.deepcopy(model.state_dict()))
        model.load_state_dict(state)
        plain(model, optimizer, number)

    return step


def test_weights_that_are_written_back_before_each_step_are_lost_updates() -> None:
    (finding,) = found(resetting())
    assert (finding.code, finding.reason, cause(finding)) == ("GF304", "overwritten", "model.load_state_dict(state)")


def reset_once(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    if number == 1:
        model.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    plain(model, optimizer, number)


def test_weights_that_are_loaded_once_are_no_finding() -> None:
    assert found(reset_once) == []


class Tied(nn.Module):
    """A language model whose output matrix may be its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 6, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.head(self.words(ids))
        return output


def test_weights_tied_after_the_optimizer_was_built_are_still_held() -> None:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
        if number == 0:
            model.head.weight = model.words.weight  # type: ignore[union-attr]
        plain(model, optimizer, number)

    assert found(step, Tied()) == []


class Scripted(nn.Module):
    """Part of it is TorchScript, whose containers are no dicts."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.body = torch.jit.script(nn.Sequential(nn.Linear(1, 4), nn.ReLU()))
        self.head = nn.Linear(4, 3)
        self.spare = nn.Linear(4, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.head(self.body(ids[:, None].float()))
        return output


def test_a_torchscript_part_is_walked_like_any_other() -> None:
    (finding,) = found(plain, Scripted())
    assert (finding.code, finding.parameters) == ("GF102", ("spare.weight", "spare.bias"))


def test_a_tensor_of_the_loop_that_learns_and_that_no_optimizer_holds_is_an_error() -> None:
    log_scale = torch.zeros(1, requires_grad=True)

    def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
        optimizer.zero_grad()
        (loss_of(model) * (-log_scale).exp() + log_scale).sum().backward()
        optimizer.step()

    findings = found(step)
    assert [(finding.code, finding.parameters) for finding in findings] == [("GF301", ("log_scale",))]


def test_points_whose_gradient_the_program_asks_for_are_data() -> None:
    points = torch.linspace(0.0, 1.0, 8)[:, None].requires_grad_()

    def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
        optimizer.zero_grad()
        value = model(points)
        slope = torch.autograd.grad(value.sum(), points, create_graph=True)[0]
        (slope - value).square().mean().backward()
        optimizer.step()

    assert found(step, nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))) == []


def all_taken_away(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    loss_of(model).backward()
    for parameter in model.parameters():
        parameter.grad = None
    optimizer.step()


def test_gradients_that_are_all_taken_away_by_hand_are_cleared() -> None:
    (finding,) = found(all_taken_away)
    assert (finding.code, cause(finding)) == ("GF303", "parameter.grad = None")


def some_taken_away(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    optimizer.zero_grad()
    loss_of(model).backward()
    next(model.parameters()).grad = None
    optimizer.step()


def test_gradients_of_which_some_are_taken_away_by_hand_are_meant() -> None:
    assert [finding for finding in found(some_taken_away) if finding.severity is not Severity.INFO] == []


def test_a_group_of_parameters_that_had_been_used_up_is_an_error_on_what_it_should_have_held() -> None:
    torch.manual_seed(0)
    model = Net()
    words = model.words.parameters()
    assert sum(parameter.numel() for parameter in words) == 24
    optimizer = torch.optim.SGD([{"params": words}, {"params": model.head.parameters()}], lr=0.1)
    with gradflow.watch(model, optimizer) as flow:
        for number in range(3):
            plain(model, optimizer, number)
    (finding,) = flow.report.findings
    assert (finding.code, finding.severity, finding.parameters) == ("GF301", Severity.ERROR, ("words.weight",))
    assert "is empty" in finding.notes[0]
