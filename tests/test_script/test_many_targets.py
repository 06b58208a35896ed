"""`gradflow audit models/`: every file in a process of its own, one report; what one file does never harms another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from script_runs import write

from gradflow.capture.launch.files import model_files
from gradflow.capture.launch.warm import IS_POSSIBLE, Warm

NET = """
import torch
class Net(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.first = nn.Linear(4, dim)
        self.last = nn.Linear(dim, 2)
    def forward(self, x):
        return self.last({first})
"""
FILES = {
    "whole.py": NET.replace("{first}", "self.first(x)"),
    "cut.py": NET.replace("{first}", "self.first(x).detach()"),
    "deep/broken.py": """
class Broken(nn.Module):
    def __init__(self):
        raise ValueError('no')
    def forward(self, x):
        return x
""",
    "killed.py": "import os\nclass M(nn.Module): pass\nos.kill(os.getpid(), 9)\n",
    "hungry.py": """
import time
class M(nn.Module): pass
held = bytearray(1_500_000_000)
held[::4096] = b'1' * len(held[::4096])
time.sleep(30)
""",
    "no_model.py": "import torch\nprint(torch.ones(1))\n",
    "test_net.py": "class M(nn.Module): pass\nraise SystemExit('a test was run')\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("many")
    for name, text in FILES.items():
        write(place, f"from torch import nn\n{text}", f"models/{name}")
    return place


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gradflow", "audit", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_files_that_define_or_train_a_model_are_found_in_order(folder: Path) -> None:
    names = [os.path.relpath(path, folder / "models") for path in model_files(str(folder / "models"))]
    assert names == ["cut.py", "hungry.py", "killed.py", "whole.py", "deep/broken.py"]


def test_a_directory_gives_one_document_with_a_report_for_each_file(folder: Path) -> None:
    done = run(folder, "models", "-j", "2", "--memory", "1", "--format", "json")
    reports = json.loads(done.stdout)["reports"]
    assert done.returncode == 1
    assert [report["outcome"] for report in reports] == ["findings", "timeout", "crashed", "clean", "nothing"]
    assert "[5/5]" in done.stderr and "could not build `Broken`: ValueError: no" in done.stderr
    assert "the memory of 1.0 GiB was used up" in done.stderr
    assert reports[0]["findings"][0]["code"] == "GF101"
    assert reports[0]["target"]["reproduce"].endswith("models/cut.py:Net")


def test_the_settings_may_list_the_targets(folder: Path) -> None:
    table = '[[target]]\npath = "models/whole.py:Net"\ninit = "dim=3"\ninput = ["x=float32[5,4]"]\n'
    (folder / "gradflow.toml").write_text(table + '[[target]]\npath = "models/cut.py:Net"\ninit = "dim=6"\n')
    done = run(folder, "--format", "json")
    (folder / "gradflow.toml").unlink()
    reports = json.loads(done.stdout)["reports"]
    assert [report["outcome"] for report in reports] == ["clean", "findings"]
    assert reports[0]["target"]["reproduce"] == "gradflow audit --init dim=3 --input 'x=float32[5,4]' models/whole.py:Net"
    assert next(row["shape"] for row in reports[0]["parameters"]) == [3, 4]


@pytest.mark.skipif(not IS_POSSIBLE, reason="a process that forks others safely needs Linux")
def test_a_warm_process_that_dies_ends_the_waiting() -> None:
    with Warm(os.environ) as warm:
        null = os.open(os.devnull, os.O_RDWR)
        child = warm.start("time", "no job", null, null, null)
        assert child.wait(60) != 0
        warm._process.kill()
        assert warm.start("time", "no job", null, null, null).wait(60) == -9
        os.close(null)


def test_several_targets_have_one_page_and_no_picture(folder: Path) -> None:
    (folder / "two").mkdir()
    (folder / "two" / "whole.py").write_text((folder / "models" / "whole.py").read_text())
    refused = run(folder, "two", "--svg", "x.svg")
    assert (refused.returncode, "a picture shows one program" in refused.stderr) == (2, True)
    assert run(folder, "two", "--html", "all.html").returncode == 0
    assert "whole.py" in (folder / "all.html").read_text("utf-8")
