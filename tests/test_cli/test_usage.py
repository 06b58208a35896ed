"""The command line where nothing has to be run: usage, errors, exit codes, documents."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import gradflow
from gradflow import cli
from gradflow.render import FORMATS

SCHEMA = json.loads((Path(gradflow.__file__).parent / "schema.json").read_text("utf-8"))


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of the command line in this process."""
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print('ran')\n")
    (tmp_path / "bad.py").write_text("def f(:\n    pass\n")
    return tmp_path


BAD = {
    "no target": (["audit"], "no target: expected file.py"),
    "no such file": (["audit", "gone.py"], "no such file: `gone.py`"),
    "unknown format": (["audit", "--format", "yaml", "train.py"], "--format: invalid choice: 'yaml'"),
    "unknown option": (["audit", "--frobnicate", "train.py"], "unrecognized arguments: --frobnicate"),
    "steps": (["audit", "--steps", "0", "train.py"], "argument --steps: expected a whole number above 0, found '0'"),
    "timeout": (["audit", "--timeout", "soon", "train.py"], "argument --timeout: expected a number of seconds above 0, found 'soon'"),
    "value missing": (["audit", "--timeout"], "argument --timeout: expected one argument"),
    "malformed input": (["audit", "--input", "x=float32", "train.py:Net"], "--input 'x=float32': expected name=dtype[sizes]"),
    "input for a script": (["audit", "--input", "x=float32[1]", "train.py"], "--input goes with a model, as in `model.py:Net`"),
    "loss for a script": (["audit", "--loss", "train.py:loss", "train.py"], "--loss goes with a model, as in `model.py:Net`"),
    "loss without file": (["audit", "--loss", "mse", "train.py:Net"], "`--loss mse`: expected file.py:function"),
    "output nowhere": (["audit", "-o", "no/such/dir.json", "train.py"], "--output: expected a file in a directory that exists"),
    "notebook": (["audit", "book.ipynb"], "no such file: `book.ipynb`"),
    "command": (["audit", "--", "no_such_program"], "no such program: `no_such_program`"),
    "seed": (["audit", "--seed", "-1", "train.py"], "argument --seed: expected a whole number from 0 to 2**63 - 1, found '-1'"),
}


@pytest.mark.parametrize("words,sentence", BAD.values(), ids=BAD)
def test_wrong_usage_is_one_sentence_on_stderr_and_exit_2(
    words: list[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(words, capsys)
    assert (code, out) == (2, "")
    assert err.startswith("gradflow: error: ") and sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words,sentence", BAD.values(), ids=BAD)
def test_wrong_usage_is_a_whole_document_with_json(
    words: list[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Where the words name a format already, that one is wrong, and the later one counts.
    options = ["--format=json", *words[1:]] if words[1:2] != ["--format"] else ["--format", "yaml", "--format=json", "train.py"]
    code, out, err = run(["audit", *options], capsys)
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert (code, document["outcome"]) == (2, "usage")
    assert sentence in document["message"] and sentence in err


def test_a_syntax_error_is_shown_as_python_shows_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["audit", "bad.py"], capsys)
    assert (code, out) == (2, "")
    assert "bad.py`" in err and "def f(:" in err and "SyntaxError: " in err
    assert err.endswith("gradflow: error: `bad.py` is no valid Python: SyntaxError on line 1\n")


def test_a_syntax_error_is_a_whole_document_with_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["audit", "--format", "json", "bad.py"], capsys)
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert (code, document["outcome"], document["target"]["file"]) == (2, "crashed", "bad.py")
    assert "SyntaxError" in document["crash"]


def test_a_document_goes_to_the_file_that_was_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["audit", "--format", "json", "-o", "report.json", "gone.py"], capsys)
    assert (code, out) == (2, "")
    assert json.loads((folder / "report.json").read_text())["outcome"] == "usage"


def test_an_unknown_command_names_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["paint"], capsys)
    assert (code, out) == (2, "")
    assert "'paint'" in err and "audit" in err and "explain" in err


def test_no_command_shows_the_help_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([], capsys)
    assert (code, out) == (2, "") and err.startswith("usage: gradflow")


@pytest.mark.parametrize("words", [["--help"], ["audit", "--help"], ["explain", "--help"]])
def test_help_goes_to_stdout_with_exit_0(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(words, capsys)
    assert (code, err) == (0, "") and out.startswith("usage: gradflow")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(["--help"], capsys)
    assert all(f"\n    {name} " in out for name in ("audit", "graph", "freeze", "lint", "explain", "convert", "diff"))


def test_version_is_the_package_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"], capsys) == (0, f"gradflow {gradflow.__version__}\n", "")


def test_explain_lists_the_checks_and_shows_the_page_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, listing, _ = run(["explain"], capsys)
    assert code == 0 and "GF101  severed-parameter" in listing
    code, page, _ = run(["explain", "gf101"], capsys)
    assert code == 0 and page.startswith("# GF101 severed-parameter\n")


def test_explaining_an_unknown_code_names_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["explain", "GF999"], capsys)
    assert (code, out) == (2, "")
    assert "found 'GF999'" in err and "GF101" in err


def test_the_formats_of_the_command_line_are_those_of_the_renderers() -> None:
    assert set(cli.FORMATS) == set(FORMATS)


def test_options_end_at_the_target_and_the_rest_is_the_scripts() -> None:
    parser = cli._Parser(prog="gradflow audit")
    cli._add_audit_options(parser)
    words = ["--steps", "5", "--verbose", "--format=json", "-o", "x", "train.py", "--steps", "9", "--verbose"]
    assert cli._split(parser, words) == (words[:6], words[6:])
    assert cli._split(parser, ["--graph", "-m", "pkg.train", "--graph"]) == (["--graph"], ["-m", "pkg.train", "--graph"])
    assert cli._split(parser, ["--", "torchrun"]) == ([], ["--", "torchrun"])


def test_a_model_takes_our_options_on_either_side() -> None:
    parser = cli._Parser(prog="gradflow audit")
    cli._add_audit_options(parser)
    ours, rest = cli._split(parser, ["--graph", "model.py:Net", "--input", "x=float32[2,3]", "--verbose"])
    assert (ours, rest) == (["--graph", "--input", "x=float32[2,3]", "--verbose"], ["model.py:Net"])
    assert cli._split(parser, ["model.py:Net", "surplus"]) == ([], ["model.py:Net", "surplus"])


def test_a_reader_that_leaves_early_is_no_error_of_ours() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "gradflow", "audit", "--format", "json", "gone.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    errors = child.stderr.read().decode()
    child.stderr.close()
    assert child.wait() == 2
    assert "Traceback" not in errors and "BrokenPipe" not in errors
