"""The step of a program, taken once for each way to freeze in forks of this very process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

from gradflow.capture.launch.freeze_run import CannotFork, FreezeRun
from gradflow.capture.launch.job import Ending, Way
from gradflow.capture.launch.their_traceback import format_theirs
from gradflow.errors import TargetCrashed, UsageError
from gradflow.freezing import _one_by_one, with_advice
from gradflow.graph.freezing import Arrival, FreezeComparison, FreezeWay


class Stop(BaseException):
    """Ends a program where `gradflow freeze` would end its process."""


class Three(nn.Module):
    """Three layers in a row; the one in the middle is normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.lin0, self.lin1, self.lin2 = nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)), nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.lin2(torch.tanh(self.lin1(self.lin0(x))))
        return output


def found(
    program: Callable[[], None], *layers: str, step: int = 1, seconds: float = 60.0, alone: FreezeWay | None = None
) -> FreezeComparison | Exception | str:
    """What `gradflow freeze` finds in the program: the comparison, an error, or why there was no step."""
    kept: list[FreezeComparison | Exception] = []

    def done(value: FreezeComparison | Exception) -> NoReturn:
        kept.append(value)
        raise Stop

    run = FreezeRun(layers, step, time.monotonic() + seconds, done, alone)
    run.install()
    error: BaseException | None = None
    try:
        program()
    except Stop:
        return kept[0]
    except BaseException as raised:  # noqa: BLE001 - as the child process does
        error = raised
    finally:
        if run.frozen is None or alone is not None:
            run.uninstall()
    if run.frozen is not None:
        try:
            run.frozen.program_ends(error, "" if error is None else format_theirs(error))
        except Stop:
            return kept[0]
    if error is not None:
        raise error
    return run.why_not


def compared(program: Callable[[], None], *layers: str, step: int = 1) -> FreezeComparison:
    answer = found(program, *layers, step=step)
    assert isinstance(answer, FreezeComparison), answer
    answer.check()
    return answer


def learns(comparison: FreezeComparison, way: str) -> dict[str, bool | None]:
    return {row.path: comparison.cell(way, row.path).weights_moved for row in comparison.layers}


def plain_loop(model: nn.Module, steps: int = 3, **options: float) -> Callable[[], None]:
    def program() -> None:
        net = model
        optimizer = torch.optim.AdamW(net.parameters(), **{"lr": 0.1, **options})  # type: ignore[arg-type]
        for _ in range(steps):
            optimizer.zero_grad()
            net(torch.randn(6, 4)).pow(2).mean().backward()
            optimizer.step()

    return program


def test_each_way_is_measured_on_the_programs_own_step_and_the_model_stays_as_it_was() -> None:
    model = Three()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    comparison = compared(plain_loop(model), "lin1")
    assert learns(comparison, "nothing") == {"lin0": True, "lin1.0": True, "lin1.1": True, "lin2": True}
    assert learns(comparison, "requires_grad") == {"lin0": True, "lin1.0": False, "lin1.1": False, "lin2": True}
    assert learns(comparison, "no_grad") == learns(comparison, "detach") == {**learns(comparison, "requires_grad"), "lin0": False}
    assert learns(comparison, "left_out") == learns(comparison, "requires_grad")
    assert learns(comparison, "eval") == learns(comparison, "nothing")
    assert comparison.cell("left_out", "lin1.0").gradient is Arrival.ARRIVES
    assert [comparison.cell(way, "lin1.1").buffers_moved for way in FreezeWay] == [True, True, True, True, True, False]
    assert comparison.column("no_grad").died == ("lin0",)
    assert comparison.optimizer == "AdamW"
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_memory_and_time_of_the_backward_pass_are_told_of_each_way() -> None:
    comparison = compared(plain_loop(Three()), "lin1")
    assert all(column.backward_seconds is not None and column.backward_seconds > 0 for column in comparison.columns)
    saved = {column.way.value: column.saved_bytes for column in comparison.columns}
    assert 0 < saved["no_grad"] < saved["requires_grad"] < saved["nothing"]


def test_the_statements_name_the_models_own_variable() -> None:
    comparison = with_advice(compared(plain_loop(Three()), "net.lin1"))
    assert comparison.statements[0] == "net.lin1.requires_grad_(False)"
    assert comparison.statements[-1].startswith("optimizer = torch.optim.AdamW((value for value in net.parameters()")
    assert comparison.notes[0] == "measured in the program's own training step 1, once for each way, on one thread"


def test_a_later_step_has_momentum_and_weight_decay_that_move_what_is_frozen_with_a_zero_gradient() -> None:
    def program() -> None:
        model = Three()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad(set_to_none=False)
            model(torch.randn(6, 4)).pow(2).mean().backward()
            optimizer.step()

    first, third = compared(program, "lin1"), compared(program, "lin1", step=3)
    assert first.cell("no_grad", "lin1.0").weights_moved is False
    cell = third.cell("no_grad", "lin1.0")
    assert (cell.gradient, cell.weights_moved) == (Arrival.NONE, True)
    assert "training step 3" in third.notes[0]


def test_a_step_of_several_passes_ends_where_the_optimizer_steps() -> None:
    def program() -> None:
        model = Three()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for number, x in enumerate(DataLoader(torch.randn(24, 4), batch_size=6, num_workers=2)):  # type: ignore[arg-type]
            model(x).pow(2).mean().backward()
            if number % 2:
                optimizer.step()
                optimizer.zero_grad()

    assert learns(compared(program, "lin1"), "detach") == {"lin0": False, "lin1.0": False, "lin1.1": False, "lin2": True}
    assert learns(compared(program, "lin0", step=2), "requires_grad")["lin0"] is False


def test_of_two_optimizers_both_have_stepped_when_the_step_ends() -> None:
    def program() -> None:
        model = Three()
        optimizers = [torch.optim.SGD(model.lin0.parameters(), lr=0.1), torch.optim.Adam(model.lin2.parameters())]
        for _ in range(2):
            for optimizer in optimizers:
                optimizer.zero_grad()
            model(torch.randn(6, 4)).pow(2).mean().backward()
            for optimizer in optimizers:
                optimizer.step()

    comparison = compared(program, "lin1")
    assert learns(comparison, "nothing") == {"lin0": True, "lin1.0": False, "lin1.1": False, "lin2": True}
    assert comparison.optimizer == "SGD, Adam"


def test_the_second_model_of_a_program_is_found_by_its_variable() -> None:
    def program() -> None:
        gen, critic = Three(), nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1))
        ours, theirs = torch.optim.SGD(gen.parameters(), lr=0.1), torch.optim.SGD(critic.parameters(), lr=0.1)
        for _ in range(2):
            theirs.zero_grad()
            critic(gen(torch.randn(6, 4)).detach()).mean().backward()
            theirs.step()
            ours.zero_grad()
            critic(gen(torch.randn(6, 4))).mean().backward()
            ours.step()

    comparison = compared(program, "critic.0")
    assert comparison.model == "Sequential"
    assert learns(comparison, "nothing") == {"0": True, "1": True}
    assert learns(compared(program, "gen.lin1"), "nothing")["lin0"] is True


def test_weights_that_the_loop_moves_itself_are_judged_at_its_second_step() -> None:
    def program() -> None:
        model = Three()
        for _ in range(3):
            model(torch.randn(6, 4)).pow(2).mean().backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.grad is not None:
                        parameter -= 0.1 * parameter.grad
                        parameter.grad = None

    comparison = compared(program, "lin1")
    assert learns(comparison, "no_grad") == {"lin0": False, "lin1.0": False, "lin1.1": False, "lin2": True}
    assert comparison.column("left_out").failure == "no optimizer holds it: the program moves its weights itself"
    assert comparison.optimizer == ""


def test_a_warm_up_from_zero_is_waited_for() -> None:
    def program() -> None:
        model = Three()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 4)
        for _ in range(3):
            model(torch.randn(6, 4)).pow(2).mean().backward()
            optimizer.step()
            schedule.step()

    comparison = compared(program, "lin1")
    assert learns(comparison, "nothing")["lin0"] is True
    assert "training step 2" in comparison.notes[0]


def test_what_a_checkpoint_runs_again_begins_no_step() -> None:
    class Checkpointed(Three):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = self.lin2(checkpoint(self.lin1, self.lin0(x), use_reentrant=False))
            return output

    assert learns(compared(plain_loop(Checkpointed()), "lin1", step=2), "no_grad")["lin0"] is False


def test_a_closure_is_part_of_the_step() -> None:
    def program() -> None:
        model = Three()
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = model(torch.ones(6, 4)).pow(2).mean()
            loss.backward()
            return loss  # type: ignore[no-any-return]

        optimizer.step(closure)  # type: ignore[arg-type]

    assert learns(compared(program, "lin0"), "requires_grad")["lin0"] is False


def test_the_last_layer_under_no_grad_leaves_no_loss_to_differentiate() -> None:
    comparison = compared(plain_loop(Three()), "lin2")
    assert comparison.column("no_grad").failure == "the loss needs no gradient, so that `backward()` raises"
    assert comparison.column("requires_grad").failure == ""


def test_a_way_that_hangs_is_left_out_and_the_others_are_told() -> None:
    class Waits(Three):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.lin1(self.lin0(x))
            if not h.requires_grad:
                time.sleep(60)
            output: torch.Tensor = self.lin2(h)
            return output

    comparison = found(plain_loop(Waits()), "lin1", seconds=3.0)
    assert isinstance(comparison, FreezeComparison)
    assert comparison.column("no_grad").failure == "its time ran out before the step had ended"
    assert comparison.column("no_grad").died == ()
    assert learns(comparison, "requires_grad")["lin0"] is True


def test_a_step_that_fails_with_nothing_frozen_is_the_programs_own_failure() -> None:
    def program() -> None:
        model = Three()
        torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.randn(6, 4))
        raise ValueError("their own words")

    # the optimizer is gone where nothing holds it, and then no step was to be expected
    with pytest.raises(ValueError, match="their own words"):
        found(program, "lin1")

    def held() -> None:
        model = Three()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.randn(6, 4))
        raise ValueError(f"their own words, {type(optimizer).__name__}")

    error = found(held, "lin1")
    assert isinstance(error, TargetCrashed)
    assert str(error) == "the step failed with nothing frozen: ValueError: their own words, SGD"
    assert "raise ValueError" in error.traceback


def test_why_there_is_no_step_is_said_in_a_sentence() -> None:
    assert found(plain_loop(Three()), "lin9") == "no module of Three is named `lin9`: it has lin2, lin1, lin0"
    error = found(plain_loop(Three(), steps=60), "lin9")
    assert isinstance(error, UsageError) and str(error).startswith("no module of Three is named `lin9`")
    assert found(plain_loop(Three()), "lin1", step=9) == "the program ended before training step 9 of Three began: it made 3"
    assert (
        found(lambda: None, "lin1")
        == "the program ran to its end, and called no model that an optimizer trains, so there is no step to take"
    )


def test_where_a_process_cannot_fork_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.fork")
    error = found(plain_loop(Three()), "lin1")
    assert isinstance(error, CannotFork)
    assert str(error) == "linux has no forks"


@pytest.mark.parametrize("layer", ["lin1", "lin2"])
def test_where_nothing_can_fork_a_process_of_its_own_takes_the_step_in_each_way(layer: str) -> None:
    def run(way: FreezeWay) -> Ending:
        answer = found(plain_loop(Three()), layer, alone=way)
        assert isinstance(answer, FreezeComparison), answer
        return Ending(Way.STOPPED, frozen=answer)

    one_by_one, forked = _one_by_one("linux has no forks", run), compared(plain_loop(Three()), layer)
    one_by_one.check()
    for ours, theirs in zip(one_by_one.columns, forked.columns, strict=True):
        assert (ours.way, ours.cells, ours.died, ours.failure) == (theirs.way, theirs.cells, theirs.died, theirs.failure)
        assert (ours.saved_bytes, ours.backward_seconds) == (theirs.saved_bytes, None)
    assert one_by_one.notes[-1] == "the program was run anew each time, since linux has no forks"


def test_a_run_of_its_own_that_comes_to_nothing_is_that_ways_failure() -> None:
    first = found(plain_loop(Three()), "lin1", alone=FreezeWay.NOTHING)
    assert isinstance(first, FreezeComparison)
    ends = {FreezeWay.NOTHING: Ending(Way.STOPPED, frozen=first)}
    comparison = _one_by_one("CUDA works in no fork", lambda way: ends.get(way, Ending(Way.CRASHED, None, "ValueError: no")))
    assert {column.failure for column in comparison.columns[1:]} == {"the program raised: ValueError: no"}
    with pytest.raises(TargetCrashed, match="ValueError: no"):
        _one_by_one("", lambda way: Ending(Way.CRASHED, None, "ValueError: no"))
