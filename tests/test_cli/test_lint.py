"""`gradflow lint`: exit codes, standard input, formats, baseline."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gradflow.cli import main

FAULT = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.b(self.a(x).detach())
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one faulty file."""
    (tmp_path / "net.py").write_text(FAULT, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lint(*words: str) -> int:
    with pytest.raises(SystemExit) as ending:
        main(["lint", *words])
    return int(str(ending.value.code))


def test_findings_make_the_exit_code_1_and_are_shown_with_their_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint("net.py") == 1
    out = capsys.readouterr().out
    assert "error[GF101]: `a` is cut off from what `forward` returns by `self.a(x).detach()`" in out
    assert "^" * len("self.a(x).detach()") in out


def test_without_a_path_the_working_directory_is_read(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint("--format", "concise") == 1
    assert capsys.readouterr().out.startswith("net.py:11:23: GF101 error ")


def test_a_clean_file_is_0_and_a_missing_one_2(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "fine.py").write_text("import torch\n", "utf-8")
    assert lint("fine.py") == 0
    assert lint("no_such.py") == 2
    assert "`no_such.py` does not exist" in capsys.readouterr().err


def test_nothing_fails_where_the_level_is_never(place: Path) -> None:
    assert lint("net.py", "--fail-on", "never") == 0


def test_standard_input_is_read_under_the_name_that_is_given(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FAULT.encode()), "utf-8"))
    assert lint("-", "--stdin-filename", "pkg/x.py", "--format", "concise") == 1
    assert capsys.readouterr().out.startswith("pkg/x.py:11:23: GF101")


def test_the_json_document_says_that_it_was_read_and_not_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint("net.py", "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["target"] == {"kind": "source", "file": "net.py", "reproduce": "gradflow lint net.py"}
    (finding,) = document["findings"]
    assert (finding["evidence"], finding["parameters"], finding["reason"]) == ("source", ["a"], "detach")
    assert [site["role"] for site in finding["sites"]] == ["cause", "leak"]


@pytest.mark.parametrize("format", ["sarif", "github", "markdown"])
def test_every_format_names_the_code_and_the_file(format: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint("net.py", "--format", format) == 1
    out = capsys.readouterr().out
    assert "GF101" in out and "net.py" in out


def test_a_baseline_takes_what_was_there_before(place: Path) -> None:
    assert lint("net.py", "--write-baseline", "known.json") == 0
    assert lint("net.py", "--baseline", "known.json") == 0
    (place / "net.py").write_text(FAULT.replace("self.b(self.a(x).detach())", "self.b(self.a(x).data)"), "utf-8")
    assert lint("net.py", "--baseline", "known.json") == 1


def test_codes_and_files_can_be_left_out(place: Path) -> None:
    assert lint(".", "--ignore", "GF101") == 0
    assert lint(".", "--select", "GF103") == 0
    assert lint(".", "--exclude", "net.py") == 0


def test_a_wrong_code_is_a_usage_error(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint(".", "--select", "F401") == 2
    assert "F401" in capsys.readouterr().err


def test_results_are_kept_in_the_folder_that_is_asked_for(place: Path) -> None:
    lint("net.py", "--no-cache")
    assert not (place / ".gradflow_cache").exists()
    lint("net.py", "--cache-dir", "kept")
    assert list((place / "kept").glob("lint-*.json"))
