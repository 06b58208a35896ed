"""Videos: how many frames a model is given, one example at a time, and what is made small in proportion."""

from __future__ import annotations

import textwrap

from model_files import Load

from gradflow.capture.guess.search import Deadline, Found, find
from gradflow.capture.guess.target import subjects_of


def _found(load: Load, text: str) -> Found:
    found = find(subjects_of(load(textwrap.dedent(text)))[0], Deadline(20))
    assert isinstance(found, Found), found
    return found


def test_frames_behind_the_first_have_to_be_divisible(load: Load) -> None:
    text = """
    class Coder(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(3, 4, 3, padding=1)

        def forward(self, video):
            b, c, frames, h, w = video.shape
            x = video
            x[:, :, 1:].unflatten(2, (-1, 4))
            return self.conv(x)
    """
    frames = int(_found(load, text).call.text.removeprefix("video=float32[").split(",")[2])
    assert frames in (1, 5, 9, 17)


def test_a_model_that_states_how_many_frames_it_takes_is_given_these(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, num_frames=16):
            super().__init__()
            self.num_frames = num_frames
            self.places = nn.Parameter(torch.zeros(1, num_frames, 3, 1, 1))
            self.lin = nn.Linear(32, 4)

        def forward(self, videos):
            return self.lin(videos + self.places)
    """
    assert _found(load, text).call.text == "videos=float32[2,16,3,32,32]"


def test_a_model_of_one_example_is_given_one(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.start, self.cell = nn.Parameter(torch.zeros(1, 64)), nn.GRUCell(64, 64)

        def forward(self, x):
            return self.cell(x, self.start)
    """
    assert _found(load, text).call.text == "x=float32[1,64]"


def test_a_picture_becomes_larger_where_a_padding_mirrors_more_than_layers_left_of_it(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 16, 16)

        def forward(self, x):
            return nn.functional.pad(self.conv(x), (2, 2, 2, 2), mode="reflect")
    """
    assert _found(load, text).call.text == "x=float32[2,3,64,64]"


def test_widths_are_made_smaller_in_proportion_where_equal_ones_do_not_do(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, widths=(2048, 4096, 8192)):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(one, two) for one, two in zip(widths[:-1], widths[1:]))
            self.huge = nn.Parameter(torch.zeros(widths[-1], 8 * widths[-1]))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x) + x.repeat(1, 2)
            return x
    """
    assert _found(load, text).construction.text == "Net(widths=(32, 64, 128))"


def test_a_mask_that_selects_patches_selects_some_of_as_many_as_there_are(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lin = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8)

        def forward(self, pixel_values, patch_mask):
            patches = self.conv(pixel_values).flatten(2).transpose(1, 2)
            seen = patches[~patch_mask].reshape(len(patches), -1, 8)
            return self.lin(seen), self.lin(patches[patch_mask].reshape(len(patches), -1, 8))
    """
    called = _found(load, text).call.text
    assert called == "pixel_values=float32[1,3,32,32], patch_mask=bool[1,64]"
