"""How TARGET is read from the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gradflow.capture.launch.target import Form, TargetSpec, file_of_command, parse_function, parse_target, relative_posix
from gradflow.errors import GradflowError, TargetError, UsageError

ALL = "file.py, notebook.ipynb, -m pkg.mod, file.py:attr, pkg.mod:attr or -- COMMAND"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("")
    (tmp_path / "books.ipynb").write_text("")
    return tmp_path


def test_a_file_keeps_all_words_after_it_for_the_script(folder: Path) -> None:
    spec = parse_target(["train.py", "--steps", "5", "--", "-m", "x"])
    assert spec == TargetSpec(Form.FILE, "train.py", arguments=("--steps", "5", "--", "-m", "x"))
    assert spec.words == ("train.py", "--steps", "5", "--", "-m", "x")


def test_a_module_keeps_all_words_after_it_for_the_script() -> None:
    spec = parse_target(["-m", "pkg.train", "--lr", "1"])
    assert spec == TargetSpec(Form.MODULE, "pkg.train", arguments=("--lr", "1"))
    assert spec.words == ("-m", "pkg.train", "--lr", "1")


def test_an_attribute_of_a_file_or_of_a_module_names_a_model(folder: Path) -> None:
    assert parse_target(["train.py:Net"]) == TargetSpec(Form.FILE_ATTRIBUTE, "train.py", "Net")
    assert parse_target(["pkg.model:Net.small"]) == TargetSpec(Form.MODULE_ATTRIBUTE, "pkg.model", "Net.small")
    assert parse_target(["train.py:Net"]).words == ("train.py:Net",)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], f"no target: expected {ALL}, as in `gradflow audit train.py`"),
        (["trian.py"], "no such file: `trian.py`; there is `train.py`"),
        (["train"], "no such file: `train`; there is `train.py`"),
        (["nothing_like_it.txt"], "no such file: `nothing_like_it.txt`"),
        (["gone.py:Net"], "no such file: `gone.py`"),
        (["train.py:"], "`train.py:`: expected the name of a class, a model or a function after the colon, as in `model.py:Net`"),
        (["train.py:Net", "--lr", "1"], "`train.py:Net` names a model, which takes no arguments of a script; found `--lr 1` after it"),
        (["a-b:Net"], f"`a-b:Net`: expected {ALL}"),
        (["-m"], "-m: expected the name of a module, as in `gradflow audit -m pkg.train`; found nothing"),
        (["-m", "a/b.py"], "-m: expected the name of a module, as in `gradflow audit -m pkg.train`; found `a/b.py`"),
        (["book.ipynb"], "no such file: `book.ipynb`; there is `books.ipynb`"),
        (["books.ipynb", "--lr", "1"], "`books.ipynb` is a notebook, which takes no arguments; found `--lr 1` after it"),
        (["--"], "--: expected a command, as in `gradflow audit -- torchrun --nproc-per-node 2 train.py`; found nothing"),
        (
            ["--", "no_such_program", "x"],
            "no such program: `no_such_program`; a script or a notebook stands without `--`, as in `gradflow audit train.py`",
        ),
    ],
)
def test_each_wrong_target_is_told_in_one_sentence(words: list[str], sentence: str, folder: Path) -> None:
    with pytest.raises(GradflowError) as error:
        parse_target(words)
    assert str(error.value) == sentence


def test_a_notebook_is_named_as_it_is(folder: Path) -> None:
    assert parse_target(["books.ipynb"]) == TargetSpec(Form.NOTEBOOK, "books.ipynb")
    assert parse_target(["books.ipynb"]).words == ("books.ipynb",)


def test_a_command_keeps_all_its_words_and_its_script_is_the_file(folder: Path) -> None:
    words = ["--", sys.executable, "-u", "train.py", "--steps", "5", "other.py"]
    spec = parse_target(words)
    assert spec == TargetSpec(Form.COMMAND, sys.executable, arguments=("-u", "train.py", "--steps", "5", "other.py"))
    assert spec.words == tuple(words)
    assert file_of_command(spec.arguments) == "train.py"
    assert file_of_command(("-m", "pkg.train")) == ""


def test_a_directory_is_no_target_and_a_package_that_runs_is_named(folder: Path) -> None:
    (folder / "tool").mkdir()
    with pytest.raises(TargetError, match=r"`tool` is a directory; expected file.py"):
        parse_target(["tool"])
    (folder / "tool" / "__main__.py").write_text("")
    with pytest.raises(TargetError, match="to run it as a package: gradflow audit -m tool"):
        parse_target(["tool"])


def test_a_loss_is_a_function_in_a_file(folder: Path) -> None:
    assert parse_function("train.py:loss", "--loss") == ("train.py", "loss")
    with pytest.raises(UsageError, match=r"`--loss mse`: expected file.py:function"):
        parse_function("mse", "--loss")


def test_paths_are_posix_and_relative_only_below_the_working_directory(folder: Path) -> None:
    assert relative_posix(str(folder / "a" / "b.py")) == "a/b.py"
    assert relative_posix("a/../b.py") == "b.py"
    above = folder.parent / "other.py"
    assert relative_posix(str(above)) == above.as_posix()
    assert relative_posix("") == ""
