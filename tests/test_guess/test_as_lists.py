"""Arguments that are lists of tensors or numbers, and those that the code takes with several numbers of dimensions."""

from __future__ import annotations

import textwrap

import pytest
from model_files import Load

from gradflow.capture.guess.search import Deadline, Found, find
from gradflow.capture.guess.target import subjects_of


def _called(load: Load, text: str) -> str:
    found = find(subjects_of(load(textwrap.dedent(text)))[0], Deadline(20))
    assert isinstance(found, Found), found
    return found.call.text


@pytest.mark.parametrize("kind", ["list[torch.Tensor]", "list[torch.tensor]"])
def test_an_argument_that_is_annotated_as_a_list_is_one_whatever_its_name(load: Load, kind: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(64, 4)

        def forward(self, x: {kind}, weights: list[float]):
            assert isinstance(x, list)
            return [weight * self.lin(one) for weight, one in zip(weights, x)]
    """
    assert _called(load, text) == "x=[float32[64], float32[64]], weights=(0.5, 0.5)"


def test_all_tensors_of_a_list_are_mended_together(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(64, 4)

        def forward(self, images: list[torch.Tensor]):
            for image in images:
                assert image.shape[-1] == 48
            return self.lin(torch.stack(images).mean((2, 3)).repeat(1, 22)[:, :64])
    """
    called = _called(load, text)
    assert called == "images=[float32[3,32,48], float32[3,32,48]]"


def test_what_is_read_for_one_number_of_dimensions_does_not_decide_it(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(64, 4)

        def forward(self, x, timestep):
            if timestep.ndim == 2:
                batch, frames = timestep.shape
                timestep = timestep.flatten()
            assert timestep.shape[0] == x.shape[0]
            return self.lin(x) * timestep[:, None]
    """
    assert _called(load, text) == "x=float32[2,64], timestep=int64[2]<10"


def test_what_stands_behind_a_switch_that_is_off_tells_nothing(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(64, 4)

        def forward(self, x, timestep, per_frame: bool = False):
            if per_frame:
                batch, frames = timestep.shape
                x = x.repeat_interleave(frames, 0)
            return self.lin(x) * timestep.reshape(len(x), 1)
    """
    assert _called(load, text) == "x=float32[2,64], timestep=int64[2]<10"
