"""What the source of a model tells of its inputs: where each argument goes first, what is read from its shape, what is written about it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradflow.capture.guess.inputs.described import described, listed_dimensions
from gradflow.capture.guess.inputs.destinations import Step, destination, undone
from gradflow.capture.guess.inputs.dimensions import dimensions_of
from gradflow.capture.guess.sizes import Sizes

SIZES = Sizes(batch=2, image=32, channels=3, vocabulary=100, length=16, width=64, classes=10)


class Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(5, 8, 3)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self.conv(picture)


class Model(nn.Module):
    """A model of several ways.

    Args:
        described: a tensor of shape (batch, frames, dim)
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.words, self.lin = Stem(), nn.Embedding(50, 8), nn.Linear(12, 8)
        self.stages = nn.ModuleList([nn.Sequential(nn.Identity(), nn.Conv1d(7, 8, 3))])
        self.flag, self.missing = True, None

    def embed(self, tokens: torch.Tensor, scale: float) -> torch.Tensor:
        return self.words(tokens) * scale

    def forward(
        self, image, tokens, columns, states, turned, series, flagged, patches, described  # type: ignore[no-untyped-def]
    ):  # fmt: skip
        image = image.to(torch.float32)
        out = [self.stem(image), self.embed(tokens, scale=2.0)]
        out.append(self.lin(columns.unsqueeze(1)))
        _, steps, width = states.shape
        out.append(self.lin(turned.transpose(1, 2)))
        for stage in self.stages:
            series = stage(series)
        if self.missing is not None:
            flagged = self.missing(flagged)
        if self.flag:
            flagged = self.words(flagged)
        else:
            flagged = self.lin(flagged)
        patches = rearrange(patches, "b c (f pf) (h p1) (w p2) -> b (f h w) (pf p1 p2 c)", pf=2, p1=4, p2=4)  # noqa: F821
        return out, steps, width, series, patches, described


@pytest.mark.parametrize(
    ("argument", "layer", "kinds"),
    [
        ("image", nn.Conv2d, []),
        ("tokens", nn.Embedding, []),
        ("columns", nn.Linear, ["unsqueeze"]),
        ("turned", nn.Linear, ["transpose"]),
        ("series", nn.Conv1d, []),
        ("flagged", nn.Embedding, []),
    ],
)
def test_an_argument_is_followed_to_the_layer_that_takes_it(argument: str, layer: type, kinds: list[str]) -> None:
    found = destination(Model(), argument)
    assert found is not None
    assert isinstance(found.layer, layer)
    assert [step.kind for step in found.steps] == kinds


@pytest.mark.parametrize(("argument", "names"), [("states", ("_", "steps", "width")), ("patches", ("b", "c", "f", "h", "w"))])
def test_what_is_read_from_a_shape_is_known(argument: str, names: tuple[str, ...]) -> None:
    found = destination(Model(), argument)
    assert found is not None
    assert (found.layer, found.dimensions) == (None, names)


def test_an_argument_that_goes_nowhere_has_no_destination() -> None:
    assert destination(Model(), "described") is None
    assert destination(nn.Linear(3, 2), "input") is None


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("image", "float32[2,5,32,32]"),
        ("tokens", "int64[2,16]<50"),
        ("turned", ""),  # a linear layer tells two dimensions here, and transposes of three cannot be undone
        ("series", "float32[2,7,64]"),
        ("states", "float32[2,16,64]"),
        ("patches", "float32[2,3,4,32,32]"),
        ("described", "float32[2,4,64]"),
    ],
)
def test_an_argument_has_the_sizes_of_its_destination(argument: str, text: str) -> None:
    assert dimensions_of(Model(), argument, "", SIZES) == text


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ((2, 4), Step("unsqueeze", (1,))),
        ((2, 4), Step("unsqueeze", (-1,))),
        ((2, 4, 3), Step("transpose", (1, 2))),
        ((3, 4, 2), Step("permute", (2, 0, 1))),
    ],
)
def test_a_step_on_the_way_is_undone(before: tuple[int, ...], step: Step) -> None:
    after = getattr(torch.empty(before), step.kind)(*step.at).shape
    assert list(undone(tuple(after), (step,))) == [before]


def test_annotations_and_texts_name_dimensions() -> None:
    assert described(Model(), "x", "Float[Tensor, 'b t d']") == ("b", "t", "d")
    assert described(Model(), "described", "") == ("batch", "frames", "dim")
    assert described(Model(), "image", "") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("must be of shape (batch_size, 2, num_channels, height, width)", ("batch_size", "2", "num_channels", "height", "width")),
        ("[B x T x C]", ("B", "T", "C")),
        ("got (3, 224, 224)", ()),
        ("nothing", ()),
    ],
)
def test_a_list_of_dimensions_is_found_in_a_text(text: str, words: tuple[str, ...]) -> None:
    assert listed_dimensions(text) == words
