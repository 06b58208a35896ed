"""`gradflow freeze` as a command: the table, the JSON, and what it says of a target that it cannot take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = """\
import torch
from torch import nn
print("the model's own words")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin0, self.lin1, self.lin2 = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.lin2(self.lin1(self.lin0(x)))
"""
HOOKS = "\n\ndef gradflow_model():\n    return Net()\n\n\ndef gradflow_inputs(model):\n    return torch.randn(8, 4)\n"
TRAINING = """

import sys
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=float(sys.argv[1]))
while True:
    optimizer.zero_grad()
    net(torch.randn(8, 4)).pow(2).mean().backward()
    optimizer.step()
"""
INPUT = ("--input", "float32[8,4]")


def freeze(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "net.py").write_text(MODEL, "utf-8")
    (folder / "hooked.py").write_text(MODEL + HOOKS, "utf-8")
    (folder / "train.py").write_text(MODEL + TRAINING, "utf-8")
    return subprocess.run(
        [sys.executable, "-m", "gradflow", "freeze", *words], cwd=folder, capture_output=True, encoding="utf-8", timeout=120
    )


def test_the_table_goes_to_standard_output_and_the_models_words_do_not(tmp_path: Path) -> None:
    run = freeze(tmp_path, "net.py:Net", "--layer", "lin1", *INPUT)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("lin1 of Net, frozen in 5 ways")
    assert "model.lin1.requires_grad_(False)" in run.stdout
    assert "the model's own words" in run.stderr


def test_options_may_stand_before_the_target_and_json_is_one_document(tmp_path: Path) -> None:
    run = freeze(tmp_path, "--layer", "lin1", "--format", "json", "hooked.py")
    document = json.loads(run.stdout)
    assert document["chosen"] == ["lin1"]
    assert [column["died"] for column in document["columns"]] == [[], [], ["lin0"], ["lin0"], [], []]


def test_output_goes_to_a_file(tmp_path: Path) -> None:
    run = freeze(tmp_path, "hooked.py", "--layer", "lin*", "-o", "out.txt")
    assert (run.returncode, run.stdout) == (0, "")
    assert (tmp_path / "out.txt").read_text("utf-8").startswith("lin0, lin1, lin2 of Net")


def test_a_script_is_run_to_its_step_with_its_own_arguments(tmp_path: Path) -> None:
    run = freeze(tmp_path, "train.py", "--layer", "lin1", "--format", "json", "--", "0.1")
    document = json.loads(run.stdout)
    assert (document["chosen"], document["optimizer"], document["variable"]) == (["lin1"], "SGD", "net")
    assert [column["died"] for column in document["columns"]] == [[], [], ["lin0"], ["lin0"], [], []]
    assert "the model's own words" in run.stderr


def test_a_model_that_takes_too_long_is_ended_by_the_timeout(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(100)\n" + MODEL, "utf-8")
    run = freeze(tmp_path, "slow.py:Net", "--layer", "lin1", "--timeout", "1", *INPUT)
    assert (run.returncode, run.stdout) == (2, "")
    assert "error: the time of 1 s ran out before the step had been taken in every way" in run.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("net.py:Net", *INPUT), "no layer to freeze: name at least one, as in `--layer lin1`"),
        (("net.py:Net", "--layer", "lin9", *INPUT), "no module of Net is named `lin9`: it has lin"),
        (("train.py", "--layer", "lin9", "--", "0.1"), "no module of Net is named `lin9`: it has lin"),
        (("train.py", "--layer", "lin1"), "the program raised: IndexError: list index out of range"),
        (("train.py", "--layer", "lin1", *INPUT), "--input goes with a model, as in `model.py:Net`; `train.py` is run as a program"),
        (("net.py:Net", "--layer", "lin1", "--input", "float32[8,5]"), "the program raised: RuntimeError: mat1 and mat2"),
        (("net.py:Net", "--layer", "lin1", "-o", "no/such.txt", *INPUT), "--output: expected a file in a directory that exists"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_exit_2(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    run = freeze(tmp_path, *words)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.splitlines()[-1].startswith(f"gradflow: error: {sentence}")
