"""A program's warnings under the recorder: shown as often as without it, and at the same places."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradflow.capture.training.session import Session


def seen(work: Callable[[], object], action: str = "default", *, watched: bool) -> list[tuple[str, int, str, str]]:
    """(file, line, class, text) of each warning, in order."""
    session = Session(steps=100)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter(action)  # type: ignore[arg-type]
        globals().pop("__warningregistry__", None)
        if watched:
            session.install()
        try:
            work()
        finally:
            session.uninstall()
    return [(entry.filename, entry.lineno, entry.category.__name__, str(entry.message)) for entry in found]


def from_cpp() -> None:
    value = nn.Linear(2, 2)(torch.ones(1, 2))
    for _ in range(3):
        torch.tensor(value.detach())
        torch.tensor(value.detach())


def from_python_with_a_stack_level() -> None:
    for _ in range(2):
        nn.functional.softmax(torch.ones(2, 2, requires_grad=True))
        nn.functional.mse_loss(torch.ones(2, 1, requires_grad=True), torch.ones(2))
        nn.Softmax()(torch.ones(2, 2, requires_grad=True))


def of_the_program_itself() -> None:
    for _ in range(2):
        warnings.warn("mine", stacklevel=1)


@pytest.mark.parametrize("action", ["default", "always", "module", "once", "ignore"])
@pytest.mark.parametrize("work", [from_cpp, from_python_with_a_stack_level, of_the_program_itself])
def test_warnings_are_those_of_the_plain_program(work: Callable[[], None], action: str) -> None:
    seen(work, watched=False)  # torch gives some but once in a process
    plain = seen(work, action, watched=False)
    assert seen(work, action, watched=True) == plain
    assert bool(plain) == (action != "ignore")
    assert all(file == __file__ or "torch" in file for file, *_ in plain)


def test_a_filter_on_the_programs_module_holds() -> None:
    def work() -> None:
        warnings.filterwarnings("ignore", module=__name__)
        from_cpp()

    assert seen(work, watched=True) == seen(work, watched=False) == []


def test_the_module_warnings_is_put_back() -> None:
    before = vars(warnings)["_showwarnmsg"]
    seen(from_cpp, watched=True)
    assert vars(warnings)["_showwarnmsg"] is before
