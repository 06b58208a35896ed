"""`file.py:attr` and `pkg.mod:attr`: a model is built, given inputs and a loss, and audited."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from script_runs import TRAINING, Run, audit, write

MODEL = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.last = nn.Linear(width, 2)
    def forward(self, x, scale=1.0):
        return self.last(torch.relu(self.first(x))) * scale

class Wide(Net):
    def __init__(self, width, depth):
        super().__init__(width)

def build():
    return Net(16)

def build_nothing():
    return 42

ready = Net()
number = 3

if __name__ == "__main__":
    raise SystemExit("the training of this file was started")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, MODEL, "model.py")
    write(tmp_path, "", "pkg/__init__.py")
    write(tmp_path, "from .blocks import *\n", "pkg/net.py")
    write(tmp_path, MODEL, "pkg/blocks.py")
    return tmp_path


INPUT = ("--input", "x=float32[3,4]")


def names(run: Run) -> set[str]:
    return {row["name"] for row in run.document["parameters"]}


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("model.py:Net", "class"),
        ("model.py:build", "module"),
        ("model.py:ready", "module"),
        ("model:Net", "class"),
        ("pkg.net:Net", "class"),
        ("pkg/net.py:Net", "class"),
    ],
)
def test_a_model_is_found_by_its_name(target: str, kind: str, folder: Path) -> None:
    run = audit(folder, *INPUT, target)
    assert run.outcome == (0, "clean"), run.err
    assert run.document["target"]["kind"] == kind
    assert run.document["target"]["reproduce"] == f"gradflow audit --input 'x=float32[3,4]' {target}"
    assert names(run) == {"first.weight", "first.bias", "last.weight", "last.bias"}


def test_options_may_follow_a_model(folder: Path) -> None:
    assert audit(folder, "model.py:Net", "--input", "float32[3,4]").outcome == (0, "clean")


WRONG = {
    "no such name": (["model.py:Nett"], "usage", "`model.py` has no `Nett`; it has Net, Wide"),
    "no model": (
        ["model.py:number"],
        "usage",
        "`model.py:number` is a int: expected an nn.Module class, a model or a function that makes one",
    ),
    "makes no model": (["model.py:build_nothing"], "usage", "`model.py:build_nothing()` returned a int: expected an nn.Module"),
    "no module": (["nowhere.net:Net"], "usage", "no module named `nowhere.net` in the working directory or among the installed packages"),
    "no loss": ([*INPUT, "--loss", "model.py:cost", "model.py:Net"], "usage", "--loss: `model.py` has no function `cost`"),
}


@pytest.mark.parametrize("words,outcome,sentence", WRONG.values(), ids=WRONG)
def test_each_wrong_model_is_told_in_one_sentence(words: list[str], outcome: str, sentence: str, folder: Path) -> None:
    run = audit(folder, *words)
    assert run.outcome == (2, outcome)
    assert run.sentence == sentence


def test_arguments_and_inputs_that_nobody_gave_are_made_up_and_told(folder: Path) -> None:
    run = audit(folder, "model.py:Wide")
    assert run.outcome == (0, "clean")
    command = run.document["target"]["reproduce"]
    assert command.startswith("gradflow audit --init 'width=") and command.endswith(" model.py:Wide")
    again = audit(folder, *shlex.split(command)[2:])
    assert again.outcome == (0, "clean")
    assert [row["verdict"] for row in again.document["parameters"]] == [row["verdict"] for row in run.document["parameters"]]


@pytest.mark.parametrize("words", [["--input", "y=float32[3,4]"], ["--input", "float32[3,4]"] * 3])
def test_inputs_that_do_not_fit_name_those_that_do(words: list[str], folder: Path) -> None:
    run = audit(folder, *words, "model.py:Net")
    assert run.outcome == (2, "usage")
    assert run.sentence.startswith("Net.forward(x, scale=1.0) does not take these inputs (")
    assert run.sentence.endswith("; say their dtype and sizes, as in --input 'x=float32[2,3,32,32]'")


def test_a_forward_that_raises_is_shown_as_the_users_own(folder: Path) -> None:
    run = audit(folder, "--input", "float32[3,5]", "model.py:Net")
    assert run.outcome == (2, "crashed")
    assert "mat1 and mat2" in run.sentence and "in forward" in run.document["crash"]


def test_hook_functions_give_model_inputs_and_loss(folder: Path) -> None:
    hooks = """
def gradflow_model():
    return Net(32)
def gradflow_inputs(model):
    return (torch.randn(2, model.first.in_features),), {"scale": 2.0}
def gradflow_loss(model, output):
    return output.pow(2).mean() + model.first.weight.sum()
"""
    write(folder, MODEL + hooks, "hooked.py")
    run = audit(folder, "hooked.py:gradflow_model")
    assert run.outcome == (0, "clean"), run.err
    assert next(row for row in run.document["parameters"] if row["name"] == "first.weight")["shape"] == [32, 4]


def test_a_script_without_a_backward_is_audited_by_its_hook_functions(folder: Path) -> None:
    hooks = "\ndef gradflow_model():\n    return net\ndef gradflow_inputs():\n    return torch.randn(2, 4)\n"
    write(folder, TRAINING + hooks, "hooked.py")
    run = audit(folder, "hooked.py")
    assert run.outcome == (0, "clean"), run.err
    assert run.document["target"]["kind"] == "module"


@pytest.mark.parametrize(
    "loss", ["def cost(output):\n    return output[:, 0].sum()\n", "def cost(model, output):\n    return model.last.bias[0]\n"]
)
def test_a_loss_takes_the_output_or_the_model_and_the_output(loss: str, folder: Path) -> None:
    write(folder, loss, "losses.py")
    run = audit(folder, *INPUT, "--loss", "losses.py:cost", "--fail-on", "never", "model.py:Net")
    assert run.outcome == (0, "clean"), run.err
    verdicts = {row["name"]: row["verdict"] for row in run.document["parameters"]}
    assert verdicts["last.bias"] == "live"
    assert (verdicts["first.weight"] == "live") is ("model" not in loss)
