"""`gradflow.compare_freezing`: the experiment on freezing, each way measured by a real step, and nothing left of it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from torch import nn

import gradflow
from gradflow.errors import NothingToAudit, UsageError
from gradflow.graph.freezing import Arrival, FreezeComparison, FreezeWay


class Three(nn.Module):
    """Three layers in a row, as in the article; `middle` is the one to freeze."""

    def __init__(self, middle: nn.Module | None = None) -> None:
        super().__init__()
        self.lin0 = nn.Linear(4, 8)
        self.lin1 = middle or nn.Linear(8, 8)
        self.lin2 = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.lin2(self.lin1(self.lin0(x)))
        return output


def compared(model: nn.Module, layers: str | list[str] = "lin1", **options: Any) -> FreezeComparison:
    torch.manual_seed(0)
    found = gradflow.compare_freezing(model, layers, torch.randn(16, 4), **options)
    found.check()
    return found


def learns(found: FreezeComparison, way: str) -> dict[str, bool]:
    return {row.path: bool(found.cell(way, row.path).weights_moved) for row in found.layers}


def test_under_no_grad_the_layer_before_dies_too_and_the_layer_after_learns() -> None:
    found = compared(Three())
    assert learns(found, "no_grad") == {"lin0": False, "lin1": False, "lin2": True}
    assert found.column("no_grad").died == ("lin0",)
    assert found.cell("no_grad", "lin0").gradient is Arrival.NONE


def test_with_requires_grad_false_both_neighbours_learn() -> None:
    found = compared(Three())
    assert learns(found, "requires_grad") == {"lin0": True, "lin1": False, "lin2": True}
    assert found.column("requires_grad").died == ()


def test_a_detached_output_kills_what_comes_before_as_well() -> None:
    assert compared(Three()).column("detach").died == ("lin0",)


def test_a_layer_that_no_optimizer_holds_gets_a_gradient_and_stays_still() -> None:
    found = compared(Three())
    cell = found.cell("left_out", "lin1")
    assert (cell.gradient, cell.weights_moved) == (Arrival.ARRIVES, False)
    assert found.column("left_out").died == ()


def test_eval_alone_freezes_no_weights() -> None:
    assert learns(compared(Three()), "eval") == {"lin0": True, "lin1": True, "lin2": True}


def test_statistics_move_in_train_mode_however_frozen_and_stay_in_eval() -> None:
    found = compared(Three(nn.BatchNorm1d(8)))
    moved = {way.value: found.cell(way, "lin1").buffers_moved for way in FreezeWay}
    assert moved == {"nothing": True, "requires_grad": True, "no_grad": True, "detach": True, "left_out": True, "eval": False}
    assert found.cell("nothing", "lin0").buffers_moved is None


def test_no_grad_keeps_less_memory_for_the_backward_pass_than_requires_grad_false() -> None:
    middle = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
    bytes_of = {column.way.value: column.saved_bytes for column in compared(Three(middle)).columns}
    # Tanh keeps its output (16 x 8 floats): the gradient for lin0 passes through it, unless nothing is to pass.
    assert bytes_of["nothing"] - bytes_of["no_grad"] >= 16 * 8 * 4
    assert bytes_of["no_grad"] < bytes_of["requires_grad"] < bytes_of["nothing"]


def test_a_backward_pass_was_timed_for_every_way() -> None:
    assert all(column.backward_seconds is not None and column.backward_seconds > 0 for column in compared(Three()).columns)


def test_the_last_layer_under_no_grad_leaves_no_loss_to_differentiate() -> None:
    found = compared(Three(), "lin2")
    column = found.column("no_grad")
    assert column.failure == "the loss needs no gradient, so that `backward()` raises"
    assert column.died == ("lin0", "lin1")
    assert column.backward_seconds is None
    assert not any(learns(found, "no_grad").values())


def test_the_statements_freeze_the_layer_and_say_what_its_modes_need() -> None:
    found = compared(Three(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout())))
    assert found.statements[:2] == (
        "model.lin1.requires_grad_(False)",
        "model.lin1.eval()  # after each model.train(): BatchNorm1d, Dropout",
    )
    assert any("the buffers of `lin1.1` still move" in note for note in found.notes)


def test_the_statements_do_what_they_say() -> None:
    model = Three(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)))
    found = compared(model)
    model.train()
    for statement in found.statements[:-1]:
        exec(statement, {"model": model})
    before = copy.deepcopy(model.lin1.state_dict())
    optimizer = torch.optim.SGD((value for value in model.parameters() if value.requires_grad), lr=0.1)
    model(torch.randn(16, 4)).sum().backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.lin1.state_dict().items())


def test_a_pattern_freezes_the_topmost_modules_that_fit() -> None:
    model = nn.Sequential(nn.ModuleDict(), nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2)))
    del model[0]
    found = compared(model, ["1", "1.*"])
    assert found.chosen == ("1",)
    assert [row.path for row in found.layers if row.frozen] == ["1.0", "1.1"]


def test_a_list_without_a_forward_is_frozen_by_its_members() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.blocks = nn.Linear(4, 4), nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
            self.head = nn.Linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            output: torch.Tensor = self.head(x)
            return output

    found = compared(Stack(), "blocks")
    assert learns(found, "no_grad") == {"stem": False, "blocks.0": False, "blocks.1": False, "head": True}


@pytest.mark.parametrize("make", [lambda p: torch.optim.Adam(p, weight_decay=0.1), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)])
def test_everything_is_put_back(make: Any) -> None:
    model = Three(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout()))
    optimizer = make(model.parameters())
    model(torch.randn(16, 4)).sum().backward()
    optimizer.step()
    model.lin0.eval()
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict(), [value.grad for value in model.parameters()]))
    modes = {path: module.training for path, module in model.named_modules()}
    keys = {path: set(vars(module)) for path, module in model.named_modules()}
    torch.manual_seed(3)
    data, state = torch.randn(16, 4), torch.get_rng_state()
    gradflow.compare_freezing(model, "lin1", data, optimizer=optimizer)
    after = (model.state_dict(), optimizer.state_dict(), [value.grad for value in model.parameters()])
    assert json.dumps(before, default=torch.Tensor.tolist) == json.dumps(after, default=torch.Tensor.tolist)
    assert torch.equal(torch.get_rng_state(), state)
    assert {path: module.training for path, module in model.named_modules()} == modes
    assert {path: set(vars(module)) for path, module in model.named_modules()} == keys
    assert all(value.requires_grad for value in model.parameters())
    assert len(optimizer.param_groups[0]["params"]) == 8


def test_a_way_in_which_the_model_raises_is_told_and_the_others_are_measured() -> None:
    class Picky(Three):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.lin1(self.lin0(x))
            if not h.requires_grad:
                raise ValueError("I want a graph")
            output: torch.Tensor = self.lin2(h)
            return output

    found = compared(Picky())
    assert found.column("no_grad").failure == "ValueError: I want a graph"
    assert found.column("requires_grad").failure == ""
    assert "no step" in found.to_text()


def test_an_own_loss_is_the_one_that_is_differentiated() -> None:
    found = compared(Three(), loss=lambda output: 0 * output.sum())
    assert {found.cell("nothing", row.path).gradient for row in found.layers} == {Arrival.ZERO}


def test_what_cannot_be_measured_is_said_in_a_sentence() -> None:
    with pytest.raises(UsageError, match="no module of Three is named `lin9`: it has lin"):
        compared(Three(), "lin9")
    with pytest.raises(UsageError, match="name at least one"):
        compared(Three(), [])
    with pytest.raises(UsageError, match="needs no closure, found LBFGS"):
        model = Three()
        compared(model, optimizer=torch.optim.LBFGS(model.parameters()))
    with pytest.raises(UsageError, match="the loss needs no gradient even with nothing frozen"):
        compared(Three().requires_grad_(False))
    with pytest.raises(NothingToAudit):
        gradflow.compare_freezing(nn.Sequential(nn.Linear(2, 2), nn.Flatten(), Nothing()), "0", torch.zeros(1, 2))


class Nothing(nn.Module):
    """Returns no tensor."""

    def forward(self, x: torch.Tensor) -> str:
        return "nothing"


def test_the_json_has_every_field_and_the_text_every_layer_and_way() -> None:
    found = compared(Three())
    document = json.loads(found.to_json())
    assert document["schema"] == "gradflow-freeze/1"
    assert [column["way"] for column in document["columns"]] == [way.value for way in FreezeWay]
    assert document["columns"][2]["cells"][0] == {"gradient": "none", "weights_moved": False, "buffers_moved": None}
    text = found.to_text()
    assert all(word in text for word in ("lin0", "■ lin1", "lin2", *(way.value for way in FreezeWay)))
    assert "    model.lin1.requires_grad_(False)" in text.splitlines()


def test_a_long_path_keeps_its_end() -> None:
    model = nn.Sequential()
    model.add_module("a_name_of_great_length", nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))
    rows = gradflow.compare_freezing(model, "a_name_of_great_length.1", torch.randn(2, 4)).to_text(80).splitlines()
    assert [row.split("●")[0].strip() for row in rows[3:5]] == ["..eat_length.0", "■ ..eat_length.1"]


def test_many_layers_that_fare_alike_share_a_row() -> None:
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(60)))
    for layer in model:
        assert isinstance(layer, nn.Linear)
        nn.init.eye_(layer.weight)  # so that the gradient is as large in the first layer as in the last
    text = gradflow.compare_freezing(model, "30", torch.randn(2, 4)).to_text(140)
    rows = [line.split("●")[0].strip() for line in text.splitlines()[3:6]]
    assert rows == ["0 - 29 x30", "■ 30", "31 - 59 x29"]
