"""Audits under fake tensors: what a real run says, with nothing allocated, and stated answers where a program asks for values."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_capture.fake_models import MODELS, Called, Mixture, two
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from gradflow.api import audit_script, build_report
from gradflow.capture.fake import FakeMode, build, counting, fake_mode
from gradflow.capture.launch.scale import Scale, resized
from gradflow.capture.launch.target import parse_target
from gradflow.capture.model import audit_model
from gradflow.errors import FakeBreak
from gradflow.graph.recording import Target, TargetKind
from gradflow.report import Report

TARGET = Target(TargetKind.API, "", "")


def audited(model: nn.Module, inputs: tuple[Any, ...], mode: FakeMode | None = None) -> Report:
    return build_report(audit_model(model, inputs, target=TARGET, fake=mode))


def audited_fake(make: Callable[[], nn.Module], inputs: Callable[[], tuple[Any, ...]]) -> Report:
    with fake_mode() as mode:
        return audited(make(), inputs(), mode)


def verdicts(report: Report) -> dict[str, str]:
    """By parameter; what a gradient reaches is one verdict, since fake tensors hold no numbers."""
    return {row.name: "reached" if row.verdict.value in ("live", "zero", "nonfinite") else row.verdict.value for row in report.parameters}


def causes(report: Report) -> list[tuple[str, int]]:
    found = [finding for finding in report.findings if finding.code.startswith("GF1")]
    return sorted((finding.code, finding.cause.line) for finding in found if finding.cause is not None)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar")
@pytest.mark.parametrize("name", MODELS)
def test_fake_and_real_agree_on_verdicts_and_causes(name: str) -> None:
    make, inputs = MODELS[name]
    torch.manual_seed(0)
    real = audited(make(), inputs())
    fake = audited_fake(make, inputs)
    assert verdicts(fake) == verdicts(real)
    assert causes(fake) == causes(real)
    assert [note for note in fake.notes if "incomplete" in note] == []


def test_a_model_larger_than_any_memory_is_built_and_audited() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(1_000_000, 1_000_000), nn.Linear(1_000_000, 1))

    report = audited_fake(make, lambda: (torch.randn(2, 1_000_000),))
    assert sum(row.elements for row in report.parameters) > 10**12
    assert {row.verdict.value for row in report.parameters} == {"live"}


def test_numbers_are_null_and_the_report_says_why() -> None:
    report = audited_fake(lambda: nn.Linear(3, 2), lambda: (torch.randn(4, 3),))
    assert [(row.grad_norm, row.weight_norm, row.moved) for row in report.parameters] == [(None, None, None)] * 2
    assert "`live` means reached" in report.notes[0]


def test_an_optimizer_steps_and_no_update_is_reported_lost() -> None:
    with fake_mode() as mode:
        model = nn.Linear(3, 2)
        optimizer = torch.optim.AdamW(model.parameters())
        recording = audit_model(model, (torch.randn(4, 3),), optimizer=optimizer, steps=3, target=TARGET, fake=mode)
    report = build_report(recording)
    assert (report.optimizer_steps, report.findings) == (3, ())


def test_the_mode_and_all_that_it_replaced_are_gone_afterwards() -> None:
    before = {name: getattr(torch.Tensor, name) for name in ("numpy", "tolist", "to", "cuda", "__format__")}
    replaced = (torch.save, nn.Module._apply, FakeTensor.tolist, FakeTensor.__deepcopy__)
    with fake_mode():
        assert isinstance(torch.ones(2), FakeTensor)
    assert type(torch.ones(2)) is torch.Tensor
    assert {name: getattr(torch.Tensor, name) for name in before} == before
    assert (torch.save, nn.Module._apply, FakeTensor.tolist, FakeTensor.__deepcopy__) == replaced


def test_a_mode_in_a_mode_is_the_same() -> None:
    with fake_mode() as outer:
        weight = torch.ones(2)
        with fake_mode() as inner:
            assert inner is outer
        assert isinstance(weight + torch.ones(2), FakeTensor)


def test_what_follows_from_inputs_alone_is_known() -> None:
    with fake_mode() as mode:
        tokens = torch.tensor([[5, 7, 0], [2, 0, 0]])
        mask = tokens != 0
        assert mask.sum(1).tolist() == [3 - 1, 1]
        assert not mask.all() and mask.any()
        assert tokens[mask].shape == (3,)
        assert [round(rate, 2) for rate in torch.linspace(0, 0.3, 4).tolist()] == [0.0, 0.1, 0.2, 0.3]
        assert (tokens.numpy() == [[5, 7, 0], [2, 0, 0]]).all()
        mask[:, 0] = False
        assert int(mask.sum()) == 1
        assert len(mode.notes) == 1


def test_a_branch_on_a_parameter_takes_the_stated_way_and_is_noted_with_its_line() -> None:
    lines = []

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        if y.max() > 3:
            lines.append("large")
        if y.abs().sum() > 0:
            lines.append("positive")
        return self.b(y)

    report = audited_fake(lambda: Called(forward, **two()), lambda: (torch.randn(4, 8),))
    assert lines == ["positive"]
    first = forward.__code__.co_firstlineno
    assert [note.partition("test_fake.py:")[2] for note in report.notes[1:]] == [
        f"{first + 2} asked for a truth value: it was taken as False",
        f"{first + 4} asked for a truth value: it was taken as True",
    ]


def test_a_selection_by_a_mask_is_as_large_as_if_all_were_selected() -> None:
    report = audited_fake(Mixture, lambda: (torch.randn(16, 8),))
    assert any("all elements were taken as selected" in note for note in report.notes)


def test_a_loop_that_waits_for_a_value_ends() -> None:
    rounds = 0

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        nonlocal rounds
        y = self.a(x)
        while not (y < 0).all():
            y = y - 1
            rounds += 1
        return self.b(y)

    audited_fake(lambda: Called(forward, **two()), lambda: (torch.randn(4, 8),))
    assert 0 < rounds <= 20


def test_initialisation_by_rejection_draws_once() -> None:
    with fake_mode() as mode:
        nn.init.trunc_normal_(nn.Parameter(torch.empty(400, 400)))
        assert len(mode.notes) == 1


def test_what_no_answer_helps_is_one_sentence_with_the_line() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.linalg.lstsq(self.a(x), self.a(x)).solution)

    with pytest.raises(FakeBreak, match=rf"test_fake.py:{forward.__code__.co_firstlineno + 1}: .*fake tensors hold no values"):
        audited_fake(lambda: Called(forward, **two()), lambda: (torch.randn(8, 8),))


def test_a_lazy_parameter_is_refused_in_one_sentence() -> None:
    with pytest.raises(FakeBreak, match=r"test_fake.py:\d+: a lazy parameter"):
        audited_fake(lambda: nn.LazyLinear(4), lambda: (torch.randn(4, 8),))


def test_a_gpu_is_not_needed() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3)).cuda().half().to("cuda:1")

    report = audited_fake(make, lambda: (torch.randn(4, 8, device="cuda").half(),))
    assert {(row.verdict.value, row.dtype) for row in report.parameters} == {("live", "float16")}


def test_a_cast_keeps_each_parameter_and_ties() -> None:
    with fake_mode():
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        model[1].weight = model[0].weight
        weight = model[0].weight
        model.double()
        assert model[0].weight is weight and model[1].weight is weight
        assert (weight.dtype, weight.is_leaf, weight.requires_grad) == (torch.float64, True, True)


def test_a_deep_copy_is_its_own_parameter() -> None:
    with fake_mode():
        model = nn.Linear(4, 4)
        copied = copy.deepcopy(nn.ModuleList([model, model]))
        assert copied[0] is copied[1] and copied[0].weight is not model.weight
        assert isinstance(copied[0].weight, nn.Parameter) and copied[0].weight.requires_grad


def test_nothing_is_saved(tmp_path: Path) -> None:
    with fake_mode() as mode:
        torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()
    assert any("nothing was written" in note for note in mode.notes)


@pytest.mark.parametrize(("stop", "giant", "fake"), [(1_000, 10**9, False), (10, 10**9, False), (10, 40, True)])
def test_only_a_giant_is_built_under_fake_tensors(monkeypatch: pytest.MonkeyPatch, stop: int, giant: int, fake: bool) -> None:
    monkeypatch.setattr(counting, "_STOP", stop)
    monkeypatch.setattr(counting, "GIANT", giant)
    import contextlib

    torch.manual_seed(3)
    expected = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    torch.manual_seed(3)
    with contextlib.ExitStack() as stack:
        model, mode = build(lambda: nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)), stack)
        assert (mode is not None) is fake
        assert isinstance(next(model.parameters()), FakeTensor) is fake
        if not fake:
            assert torch.equal(model[1].weight, expected[1].weight)
    assert type(torch.ones(1)) is torch.Tensor


def test_batch_and_sequence_change_what_is_as_large_as_the_first_tensor() -> None:
    tokens, mask, image, table = torch.arange(6).reshape(2, 3), torch.ones(2, 3), torch.ones(2, 3, 8, 8), torch.ones(5, 7)
    args, kwargs = resized((tokens, [image]), {"mask": mask, "table": table, "alpha": 0.5}, Scale(batch=3, seq=4))
    assert args[0].tolist() == [[0, 1, 2, 0], [3, 4, 5, 3], [0, 1, 2, 0]]
    assert args[1][0].shape == (3, 3, 8, 8)
    assert (kwargs["mask"].shape, kwargs["table"].shape, kwargs["alpha"]) == ((3, 4), (5, 7), 0.5)


SCRIPT = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(40_000, 40_000), nn.Linear(40_000, 3)

    def forward(self, x):
        return self.b(self.a(x).detach())

net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
data = torch.utils.data.TensorDataset(torch.randn(8, 40_000), torch.arange(8) % 3)
loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        print(f"{loss.item():.3f}")
torch.save(net.state_dict(), "net.pt")
"""


def test_a_whole_script_runs_under_fake_tensors(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    report = audit_script(parse_target([str(script)]), scale=Scale(fake=True), quiet=True)
    assert report.message == ""
    assert verdicts(report) == {"a.weight": "severed", "a.bias": "severed", "b.weight": "reached", "b.bias": "reached"}
    assert [finding.cause.line for finding in report.findings if finding.cause is not None] == [11]
    assert report.target.reproduce.startswith("gradflow audit --fake ")
    assert sum("fake tensors:" in note for note in report.notes) == 1
