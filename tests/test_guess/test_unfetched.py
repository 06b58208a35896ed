"""A model whose constructor loads weights is built without them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from model_files import Load

from gradflow.capture.guess.search import Deadline, Found, find
from gradflow.capture.guess.target import subjects_of
from gradflow.capture.guess.unfetched import left_out_of, without_weights
from gradflow.capture.launch.guessed import called_with, weights_notes

ENCODER = """
class Encoder(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.lin = nn.Linear(width, 4)
        {lines}

    def forward(self, x):
        return self.lin(x)
"""
URL = "https://weights.invalid/encoder-0000.pth"


@pytest.mark.parametrize(
    ("lines", "left_out"),
    [
        (f"self.load_state_dict(torch.hub.load_state_dict_from_url('{URL}'))", URL),
        (f"from torch.utils.model_zoo import load_url\n        self.load_state_dict(load_url('{URL}')['state_dict'])", URL),
        ("weights = torch.load('encoder.pth')\n        del weights['lin.bias']\n        weights.pop('lin.weight')\n"
         "        self.load_state_dict({name: value for name, value in weights.items()})", "encoder.pth"),
        ("known = self.state_dict()\n        known.update(torch.load('encoder.pth')['model'])\n        self.load_state_dict(known)",
         "encoder.pth"),
    ],
)  # fmt: skip
def test_weights_that_a_constructor_wants_are_left_out_and_named(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: str, left_out: str
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    module = load(ENCODER.replace("{lines}", lines))
    found = find(subjects_of(module)[0], Deadline(10))
    assert isinstance(found, Found), found
    assert left_out_of(found.model) == (left_out,)
    assert weights_notes(found.model) == (f"weights were not loaded, it has those that it is initialised with: {left_out}",)


def test_what_is_there_is_loaded_and_everything_is_put_back(tmp_path: Path) -> None:
    before = (torch.load, torch.hub.download_url_to_file, torch.nn.Module.load_state_dict)
    torch.save({"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, tmp_path / "there.pth")
    layer = torch.nn.Linear(2, 1)
    with without_weights() as left_out:
        layer.load_state_dict(torch.load(tmp_path / "there.pth"))
        with pytest.raises(RuntimeError, match="Missing key"):
            layer.load_state_dict({})
    assert left_out == [] and layer.weight.tolist() == [[1.0, 1.0]]
    assert (torch.load, torch.hub.download_url_to_file, torch.nn.Module.load_state_dict) == before


def test_arguments_that_are_given_are_tried_with_the_weights_first(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    tried = []

    def fails(url: str, *args: object, **kwargs: object) -> None:
        tried.append(url)
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fails)
    module = load(ENCODER.replace("{lines}", f"self.load_state_dict(torch.hub.load_state_dict_from_url('{URL}'))"))
    model = called_with(module.Encoder, "width=3")
    assert (tried, left_out_of(model)) == ([URL], (URL,))
