"""A closer look at parameters that were asked for: update ratios and zeros in outputs, against what is worked out by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradflow.api import build_report
from gradflow.capture.model import audit_model
from gradflow.capture.training import closer_look
from gradflow.capture.training.session import Session
from gradflow.focus import with_focus
from gradflow.graph.recording import ParameterFact, Recording, Target, TargetKind
from gradflow.render import render

TARGET = Target(TargetKind.API, "", "here")


class Net(nn.Module):
    """A layer whose output goes through batch norm and ReLU, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True))
        self.mid, self.head = nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.head(torch.relu(self.mid(self.enc(x))))
        return output


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    torch.manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(16, 4)).pow(2).mean().backward()
        optimizer.step()


def watched(
    model: nn.Module, optimizer: torch.optim.Optimizer, *focus: str, work: Callable[[nn.Module, torch.optim.Optimizer], None] = train
) -> Recording:
    session = Session(steps=1_000, focus=focus)
    session.install()
    try:
        for module in model.modules():
            session.registry.add(module, None)
        session.optimizers.add(optimizer, None)
        work(model, optimizer)
        return session.recording(TARGET)
    finally:
        session.uninstall()


def fact(recording: Recording, name: str) -> ParameterFact:
    return next(entry for entry in recording.parameters if entry.name == name)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1)


def test_the_update_ratio_of_each_step_is_that_of_the_weights_before_and_after() -> None:
    torch.manual_seed(0)
    model = Net()
    plain = copy.deepcopy(model)
    expected = []
    optimizer = sgd(plain)
    torch.manual_seed(1)
    for _ in range(3):
        optimizer.zero_grad()
        plain(torch.randn(16, 4)).pow(2).mean().backward()
        before = plain.mid.weight.detach().clone()
        optimizer.step()
        expected.append(float((plain.mid.weight.detach() - before).norm() / before.norm()))
    recording = watched(model, sgd(model), "mid.*")
    assert [step.update_ratio for step in fact(recording, "mid.weight").steps] == pytest.approx(expected)
    assert all(ratio > 0 for ratio in expected)


def test_nothing_is_measured_of_what_was_not_asked_for() -> None:
    model = Net()
    recording = watched(model, sgd(model), "mid")
    assert all(step.update_ratio is None for step in fact(recording, "head.weight").steps)
    assert fact(recording, "head.weight").zero_share is None
    assert fact(recording, "mid.bias").zero_share is not None


def test_zeros_are_counted_after_the_normalisation_and_the_activation_that_follow() -> None:
    torch.manual_seed(0)
    model = Net()
    outputs = []
    plain = copy.deepcopy(model)
    plain.mid.register_forward_pre_hook(lambda module, args: outputs.append(args[0].detach().clone()))
    train(plain, sgd(plain))
    share = sum(int((value == 0).sum()) for value in outputs) / sum(value.numel() for value in outputs)
    recording = watched(model, sgd(model), "enc.0", "head")
    assert fact(recording, "enc.0.weight").zero_share == pytest.approx(share)
    assert 0.2 < share < 0.8
    assert fact(recording, "head.weight").zero_share == 0.0


def test_a_layer_that_was_dead_from_the_start_gives_zeros_alone() -> None:
    model = Net()
    with torch.no_grad():
        model.mid.bias.fill_(-100.0)
    assert fact(watched(model, sgd(model), "mid"), "mid.weight").zero_share == 1.0


def test_a_second_branch_that_takes_the_output_does_not_count_twice() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(4, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.lin(x)
            return torch.relu(h) + torch.relu(-h) + h.clamp(min=0)

    model = Branches()
    share = fact(watched(model, sgd(model), "lin"), "lin.weight").zero_share
    assert share is not None and 0.0 < share < 1.0


@pytest.mark.parametrize("make", [sgd, lambda model: torch.optim.Adam(model.parameters(), lr=0.1)])
def test_the_training_is_bit_for_bit_the_same(make: Callable[[nn.Module], torch.optim.Optimizer]) -> None:
    torch.manual_seed(0)
    model = Net()
    plain = copy.deepcopy(model)
    train(plain, make(plain))
    after = torch.get_rng_state()
    watched(model, make(model), "*")
    assert torch.equal(torch.get_rng_state(), after)
    for one, other in zip(model.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert not model.mid._forward_hooks and not torch.nn.modules.module._global_forward_hooks


def test_half_precision_is_compared_in_single_precision() -> None:
    model = nn.Sequential(nn.Linear(4, 4)).to(torch.bfloat16)

    def work(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        model(torch.ones(2, 4, dtype=torch.bfloat16)).sum().backward()
        optimizer.step()

    before = model[0].weight.detach().float().clone()
    ratio = fact(watched(model, sgd(model), "0", work=work), "0.weight").steps[0].update_ratio
    assert ratio == pytest.approx(float((model[0].weight.detach().float() - before).norm() / before.norm()), rel=1e-3)


def test_a_weight_that_was_all_zero_has_no_ratio() -> None:
    model = Net()
    nn.init.zeros_(model.head.bias)
    steps = fact(watched(model, sgd(model), "head"), "head.bias").steps
    assert steps[0].update_ratio is None
    assert steps[1].update_ratio is not None


def test_a_closure_and_a_root_variable_before_the_name_are_understood() -> None:
    gan = {"gen": Net(), "critic": Net()}

    def work(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = (model(torch.ones(4, 4)) + gan["critic"](torch.ones(4, 4))).pow(2).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)

    gen = gan["gen"]
    recording = watched(gen, torch.optim.SGD([*gen.parameters(), *gan["critic"].parameters()], lr=0.1), "gen.mid.*", work=work)
    assert fact(recording, "gen.mid.weight").steps[0].update_ratio is not None
    assert fact(recording, "critic.mid.weight").zero_share is None


def test_what_would_cost_too_much_memory_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closer_look, "MOST_COPIED", 8 * 4 + 1)
    model = Net()
    recording = watched(model, sgd(model), "mid")
    assert fact(recording, "mid.bias").steps[0].update_ratio is not None
    assert fact(recording, "mid.weight").steps[0].update_ratio is None
    assert any("of 1 parameter in focus was not measured" in note for note in recording.notes)


def test_a_model_that_is_called_alone_has_its_flow_recorded_for_the_focus() -> None:
    recording = audit_model(Net(), (torch.randn(16, 4),), target=TARGET, focus=("mid",))
    text = render(with_focus(build_report(recording), ["mid"]))
    assert "way to the loss: mid" in text
    assert "zeros in output: not measured" not in text
