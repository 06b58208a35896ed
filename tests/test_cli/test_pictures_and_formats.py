"""`graph`, `convert`, and the pictures beside an audit: words, files, exit codes, and what is not imported."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from xml.etree import ElementTree

import flow_examples
import pytest

import gradflow.draw
from gradflow.cli import main
from gradflow.cli_pictures import split_graph_words, wants_backward_drawing

SCRIPT = """\
import torch
lin0, lin1 = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD([*lin0.parameters(), *lin1.parameters()], lr=0.1)
for step in range(3):
    x = lin0(torch.randn(4, 2)).detach()
    loss = lin1(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a script that is wrong and a saved report."""
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "report.json").write_text(flow_examples.frozen_by_no_grad().to_json(graph=True), "utf-8")
    (tmp_path / "bare.json").write_text(flow_examples.frozen_by_no_grad().to_json(), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command line."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


class Parser:
    valued = {"-o", "--output", "--view"}  # noqa: RUF012 - stands for a parser that has been filled

    def option(self, *names: str, **kwargs: object) -> None:
        raise AssertionError(f"nothing is added here: {names} {kwargs}")


@pytest.mark.parametrize(
    ("words", "ours", "rest"),
    [
        (["a.py", "-o", "x.svg"], ["-o", "x.svg"], ["a.py"]),
        (["-o", "x.svg", "a.py", "--", "-o", "1"], ["-o", "x.svg"], ["a.py", "-o", "1"]),
        (["--view", "heatmap", "-m", "pkg.mod", "-o", "x.svg"], ["--view", "heatmap", "-o", "x.svg"], ["-m", "pkg.mod"]),
    ],
)
def test_options_of_graph_stand_on_either_side_of_the_target(words: list[str], ours: list[str], rest: list[str]) -> None:
    assert split_graph_words(Parser(), words) == (ours, rest)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"view": "autograd", "output": "x.svg"}, True),
        ({"view": "modules", "output": "x.JSON"}, True),
        ({"view": "modules", "output": "x.svg"}, False),
        ({"graph": True, "output": ""}, True),
        ({"graph": False, "output": "x.json"}, False),
    ],
)
def test_torchviz_draws_where_its_drawing_is_shown_or_kept(options: dict[str, object], wanted: bool) -> None:
    assert wants_backward_drawing(Namespace(**options)) is wanted


def test_graph_draws_a_script_and_exits_as_its_audit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["graph", "train.py", "-o", "out.svg", "--theme", "dark"], capsys)
    assert (code, out) == (1, "") and "audited the script: gradflow audit train.py" in err
    words = [element.text for element in ElementTree.parse(folder / "out.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert any("gradient stops here: .detach()" in (word or "") for word in words)


def test_an_audit_writes_the_pictures_that_are_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", "--format", "json", "--svg", "a.svg", "--html", "a.html", "--dot", "a.dot", "--png", "a.png", "train.py"]
    code, out, _ = run(words, capsys)
    assert code == 1 and json.loads(out)["outcome"] == "findings"
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG") and (folder / "a.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert (folder / "a.dot").read_text("utf-8").startswith("digraph gradflow {")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["graph", "train.py", "-o", "out.gif"],
            "expected a file that ends in one of .svg, .png, .pdf, .html, .dot, .json, found `out.gif`",
        ),
        (["graph", "train.py"], "required: -o/--output"),
        (["graph", "train.py", "more.py", "-o", "x.svg"], "expected one TARGET, found 'more.py' after it"),
        (["graph", "train.py", "-o", "x.svg", "--view", "nonsense"], "--view: expected one of modules, module:NAME, operations"),
        (["audit", "--svg", "nowhere/x.svg", "train.py"], "--svg: expected a file in a directory that exists, found `nowhere/x.svg`"),
        (["convert", "bare.json", "--format", "svg"], "found one without its flow graph: a picture needs it"),
        (["convert", "nowhere.json", "--format", "sarif"], "`nowhere.json` cannot be read"),
        (["convert", "train.py", "--format", "sarif"], "this is no gradflow/1 report"),
        (["convert", "report.json", "--format", "svg", "--view", "module:nowhere"], "expected the path of a module"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(words: list[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(words, capsys)
    assert (code, out) == (2, "") and err.startswith("gradflow: error: ") and sentence in err and err.count("\n") == 1


@pytest.mark.parametrize("format", ["text", "concise", "json", "sarif", "github", "markdown", "dot"])
def test_convert_writes_each_format_to_standard_output(format: str, folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["convert", "report.json", "--format", format])
    assert ended.value.code == 0 and b"no_grad" in capfdbinary.readouterr().out


def test_convert_keeps_the_graph_if_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["convert", "report.json", "--format", "json", "--graph", "-o", "again.json"], capsys)
    assert (folder / "again.json").read_bytes() == (folder / "report.json").read_bytes()


def test_convert_takes_a_document_of_several_reports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads((folder / "report.json").read_text("utf-8"))
    (folder / "all.json").write_text(json.dumps({"schema": "gradflow/1", "reports": [document, document]}), "utf-8")
    code, out, _ = run(["convert", "all.json", "--format", "text"], capsys)
    assert code == 0 and out.endswith("2 targets: 2 with findings. Found 2 errors.\n")
    assert run(["convert", "all.json", "--format", "json", "--graph", "-o", "again.json"], capsys)[0] == 0
    assert json.loads((folder / "again.json").read_text("utf-8")) == json.loads((folder / "all.json").read_text("utf-8"))
    assert run(["convert", "all.json", "--format", "html", "-o", "all.html"], capsys)[0] == 0
    assert (folder / "all.html").read_text("utf-8").count("<section") == 2
    code, _, err = run(["convert", "all.json", "--format", "svg", "-o", "all.svg"], capsys)
    assert code == 2 and "expected one report, found 2" in err and not (folder / "all.svg").exists()


def test_a_missing_engine_costs_the_picture_only(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradflow.draw.shutil, "which", lambda name: None)
    monkeypatch.setattr(gradflow.draw.importlib.util, "find_spec", lambda name: None)
    code, _, err = run(["convert", "report.json", "--format", "png", "-o", "out.png"], capsys)
    assert code == 0 and "install the program `dot`" in err and "its DOT text is in `out.dot`" in err
    assert (folder / "out.dot").read_text("utf-8").startswith("digraph") and not (folder / "out.png").exists()


@pytest.mark.parametrize("format", ["sarif", "github", "markdown", "svg", "html"])
def test_convert_imports_neither_torch_nor_networkx(format: str, folder: Path) -> None:
    program = (
        "import sys\nfrom gradflow.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'networkx', 'numpy'} & set(sys.modules)), file=sys.stderr)\n"
    )
    words = ["convert", "report.json", "--format", format, "-o", "out"]
    ran = subprocess.run([sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True, check=True)
    assert ran.stderr.splitlines()[-1] == "[]"


def test_a_bug_of_ours_does_not_look_like_findings(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("gradflow.pictures.picture", fail)
    code, _, err = run(["convert", "report.json", "--format", "svg", "-o", "out.svg"], capsys)
    assert code == 2 and "gradflow itself failed" in err and "ZeroDivisionError: a bug" in err
