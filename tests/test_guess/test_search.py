"""The whole search on small files: which class, how it is built, what it is called with."""

from __future__ import annotations

import pytest
from model_files import Load

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.search import Deadline, Found, Missed, find
from gradflow.capture.guess.target import subject_of, subjects_of
from gradflow.capture.guess.waiting import Line

NET = """
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.lin = nn.Linear(width, width)

    def forward(self, x):
        return self.lin(x)


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.block = Block(width)

    def forward(self, x):
        return self.block(x)
"""


def test_the_class_built_from_the_others_is_built_with_its_defaults_and_called_with_what_its_first_layer_takes(load: Load) -> None:
    first = subjects_of(load(NET))[0]
    found = find(first, Deadline(10))
    assert isinstance(found, Found)
    assert (found.construction.text, found.call.text) == ("Net()", "x=float32[2,8]")


def test_a_class_can_be_named(load: Load) -> None:
    subject = subject_of(load(NET), "Block")
    assert subject is not None
    found = find(subject, Deadline(10))
    assert isinstance(found, Found)
    assert found.construction.text == "Block(width=32)"


def test_a_call_written_in_the_file_wins(load: Load) -> None:
    text = NET + "\n\nif __name__ == '__main__':\n    net = Net(width=12)\n    print(net(torch.randn(5, 12)).shape)\n"
    found = find(subjects_of(load(text))[0], Deadline(10))
    assert isinstance(found, Found)
    assert (found.construction.text, found.call.text) == ("Net(width=12)", "x=float32[5,12]")


def test_what_cannot_be_built_says_why(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            raise RuntimeError("the weights are at home")

        def forward(self, x):
            return x
    """
    missed = find(subjects_of(load(text))[0], Deadline(10))
    assert missed == Missed("Net", "build", "RuntimeError: the weights are at home")


@pytest.mark.parametrize("name", ["nothing", "torch"])
def test_a_name_that_is_no_class_is_no_subject(load: Load, name: str) -> None:
    assert subject_of(load(NET), name) is None


def test_what_became_of_the_most_trusted_call_has_its_turn_where_another_got_further() -> None:
    trusted, other = Call((("x", "float32[2,8]"),)), Call((("x", "float32[2,3,32,32]"),))
    line = Line([trusted, other])
    for call, done in ((trusted, 0), (other, 5)):
        assert line.pop() == (call, None)
        mended = [call.with_argument("x", f"float32[{number}]") for number in range(1 + done, 5 + done)]
        line.put(mended, call, Failure(RuntimeError("no"), (), layers_done=done))
    popped = [waiter[0].text for _ in range(6) if (waiter := line.pop()) is not None]
    assert popped == [f"x=float32[{number}]" for number in (6, 7, 8, 1, 9, 1)]
