"""The hook that the repository offers to pre-commit: its fields, its entry, and a commit that it stops."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gradflow.cli import main

HOOKS = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"
TEXT = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.b(self.a(x))
"""
FAULT = TEXT.replace("self.a(x)", "self.a(x).detach()")
CONFIG = """\
repos:
- repo: local
  hooks:
    - {{id: {id}, name: {name}, entry: "{entry}", language: system, types_or: {types_or}}}
"""


def hook() -> dict[str, str]:
    """The fields of the one hook; the file is a list of flat mappings, which takes no library to read."""
    lines = HOOKS.read_text("utf-8").splitlines()
    assert [line[:2] for line in lines] == ["- ", *["  "] * (len(lines) - 1)]
    return {name: value for name, _, value in (line[2:].partition(": ") for line in lines)}


def test_the_hook_has_the_fields_that_pre_commit_asks_for() -> None:
    fields = hook()
    assert {"id", "name", "entry", "language"} <= fields.keys()
    assert fields["id"] == "gradflow-lint" and fields["language"] == "python"
    assert fields["types_or"] == "[python, jupyter]"


@pytest.mark.parametrize(("text", "code"), [(TEXT, 0), (FAULT, 1)])
def test_the_entry_of_the_hook_takes_the_names_of_files(text: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("net.py", "net.ipynb"):
        cells = '{"cells": [{"cell_type": "code", "source": "x = 1"}]}'
        Path(name).write_text(text if name.endswith(".py") else cells, "utf-8")
    program, *words = shlex.split(hook()["entry"])
    assert program == "gradflow"
    with pytest.raises(SystemExit) as ending:
        main([*words, "net.py", "net.ipynb"])
    assert ending.value.code == code


@pytest.mark.skipif(shutil.which("pre-commit") is None or shutil.which("git") is None, reason="pre-commit or git is not installed")
def test_a_commit_of_a_faulty_file_is_stopped_and_one_of_a_healthy_file_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = hook()
    _, entry = fields["entry"].split(" ", 1)
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "home"))
    place = tmp_path / "repository"
    place.mkdir()
    command = f"{sys.executable} -m gradflow {entry} --no-cache"
    (place / ".pre-commit-config.yaml").write_text(CONFIG.format(**{**fields, "entry": command}), "utf-8")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=place, capture_output=True, text=True, check=False, timeout=60)

    assert run("git", "init", "-q").returncode == 0
    for text, code in ((FAULT, 1), (TEXT, 0)):
        (place / "net.py").write_text(text, "utf-8")
        assert run("git", "add", "net.py", ".pre-commit-config.yaml").returncode == 0
        done = run("pre-commit", "run", "--all-files")
        assert done.returncode == code, done.stdout + done.stderr
        assert ("GF101" in done.stdout) is bool(code)
