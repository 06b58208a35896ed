"""Settings, baselines and comments on the command line. The run is a stub, but for one real script at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gradflow import api, cli
from gradflow.graph.recording import Target, TargetKind
from gradflow.graph.site import Site
from gradflow.report import Finding, FindingSite, Outcome, Report, Role, Severity

SITE = Site("train.py", 3, function="<module>", source="z = h.detach()")
FOUND = Finding("GF101", "severed-parameter", Severity.ERROR, "it is cut", ("w",), (FindingSite(Role.CAUSE, SITE),))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the stub of the run was asked for; under `report` what it gives back."""
    given: dict[str, Any] = {
        "report": Report(Outcome.CLEAN, Target(TargetKind.SCRIPT, "train.py", "gradflow audit train.py"), (), (FOUND,))
    }

    def stub(spec: Any, **options: Any) -> Report:
        given.update(options, spec=spec)
        report: Report = given["report"]
        return report

    monkeypatch.setattr(api, "audit_script", stub)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print('ran')\n", "utf-8")
    return given


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_settings_hold_where_the_command_line_says_nothing(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("gradflow.toml").write_text("steps = 7\ntimeout = 30.5\nquiet-script = true\n", "utf-8")
    run(["audit", "train.py"], capsys)
    assert (asked["steps"], asked["timeout"], asked["quiet"]) == (7, 30.5, True)
    run(["audit", "--steps", "2", "--timeout=9", "train.py"], capsys)
    assert (asked["steps"], asked["timeout"], asked["quiet"]) == (2, 9.0, True)


def test_settings_are_those_of_the_target_and_not_of_the_working_directory(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("gradflow.toml").write_text("steps = 7\n", "utf-8")
    Path("sub").mkdir()
    Path("sub/train.py").write_text("", "utf-8")
    Path("sub/gradflow.toml").write_text("steps = 9\n", "utf-8")
    run(["audit", "sub/train.py"], capsys)
    assert asked["steps"] == 9


WRONG = {
    "unknown": ("stps = 5", "`gradflow.toml`: there is no setting stps; did you mean steps?"),
    "type": ("steps = 'three'", "`gradflow.toml`: steps: expected a whole number, found 'three'"),
    "range": ("steps = 0", "`gradflow.toml`: steps: expected a whole number above 0, found '0'"),
    "choice": ("fail-on = 'info'", "`gradflow.toml`: fail-on: expected one of error, warning, never, found 'info'"),
    "code": ("ignore = ['E501']", "`gradflow.toml`: ignore: expected a code or the beginning of one, as GF101 or GF1, found 'E501'"),
    "no setting": ("write-baseline = 'x'", "`gradflow.toml`: there is no setting write-baseline"),
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_one_sentence_and_exit_2(
    text: str, sentence: str, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("gradflow.toml").write_text(text, "utf-8")
    code, out, err = run(["audit", "train.py"], capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"gradflow: error: {sentence}")
    assert "spec" not in asked


def test_inputs_in_the_settings_are_for_models_and_no_fault_with_a_script(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("gradflow.toml").write_text("input = ['x=float32[2,3]']\n", "utf-8")
    run(["audit", "train.py"], capsys)
    assert list(asked["inputs"]) == []
    run(["audit", "train.py:Net"], capsys)
    assert [text for text, _ in asked["inputs"]] == ["x=float32[2,3]"]


def test_the_target_may_stand_in_the_settings(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("gradflow.toml").write_text("target = 'train.py --epochs 1'\n", "utf-8")
    run(["audit"], capsys)
    assert (asked["spec"].place, asked["spec"].arguments) == ("train.py", ("--epochs", "1"))


def test_a_format_in_the_settings_holds_for_failures_too(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("gradflow.toml").write_text("format = 'json'\n", "utf-8")
    code, out, _ = run(["audit", "gone.py"], capsys)
    assert (code, json.loads(out)["outcome"]) == (2, "usage")


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        ([], "", 1),
        (["--ignore", "GF1"], "", 0),
        (["--select", "GF3,GF2"], "", 0),
        (["--select", "GF101"], "select = ['GF3']", 1),
        ([], "ignore = ['GF101']", 0),
        ([], "[per-file-ignores]\n'train.py' = ['GF1']", 0),
        (["--fail-on", "never"], "", 0),
        ([], "fail-on = 'never'", 0),
    ],
)
def test_codes_are_selected_by_the_command_line_and_the_settings(
    words: list[str], text: str, code: int, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("gradflow.toml").write_text(text, "utf-8")
    assert run(["audit", *words, "train.py"], capsys)[0] == code


def test_a_baseline_is_written_and_then_only_new_findings_fail(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["audit", "--write-baseline", "known.json", "train.py"], capsys)
    assert code == 0 and "note: 1 known finding in baseline `known.json`" in out
    code, out, _ = run(["audit", "--baseline", "known.json", "train.py"], capsys)
    assert code == 0 and "error[GF101]" not in out
    Path("gradflow.toml").write_text("baseline = 'known.json'\n", "utf-8")
    assert run(["audit", "train.py"], capsys)[0] == 0
    new = Finding("GF301", "not-in-optimizer", Severity.ERROR, "no optimizer holds it", ("v",))
    asked["report"] = Report(Outcome.CLEAN, asked["report"].target, (), (new,))
    code, out, _ = run(["audit", "train.py"], capsys)
    assert code == 1 and "error[GF301]" in out and "note: fixed since baseline `known.json`: GF101 it is cut" in out


def test_no_baseline_is_written_of_an_audit_that_is_not_complete(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    asked["report"] = Report(Outcome.PARTIAL, asked["report"].target, (), (FOUND,))
    code, out, _ = run(["audit", "--write-baseline", "known.json", "train.py"], capsys)
    assert code == 1 and "note: baseline `known.json` was not written: the audit is not complete" in out
    assert not Path("known.json").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--baseline", "gone.json"], "--baseline: no such file: `gone.json`; `--write-baseline gone.json` writes one"),
        (["--write-baseline", "no/dir.json"], "--write-baseline: expected a file in a directory that exists, found `no/dir.json`"),
        (["--baseline", "train.py"], "--baseline: `train.py` is no baseline: expected JSON"),
        (["--select", "severed"], "--select: expected a code or the beginning of one, as GF101 or GF1, found 'severed'"),
    ],
)
def test_a_wrong_baseline_or_selector_is_told_before_anything_runs(
    words: list[str], sentence: str, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(["audit", *words, "train.py"], capsys)
    assert (code, out) == (2, "") and err.startswith(f"gradflow: error: {sentence}")
    assert "spec" not in asked


SCRIPT = """import torch

model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(2):
    h = model[0](torch.ones(2, 4)).detach()  # gradflow: ignore[GF101] the first layer is fixed
    loss = model[1](h).sum()  # gradflow: ignore[GF101]
    opt.zero_grad()
    loss.backward()
    opt.step()
"""


def test_a_script_whose_cut_is_meant_is_clean_and_the_idle_comment_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT, "utf-8")
    code, out, _ = run(["audit", "--format", "json", "--param", "0.*", "train.py"], capsys)
    document = json.loads(out)
    assert (code, document["outcome"]) == (0, "clean")
    assert [entry["code"] for entry in document["suppressed"]] == ["GF101"]
    assert document["notes"] == [
        "1 finding is suppressed by `# gradflow: ignore` in the source",
        "`# gradflow: ignore[GF101]` suppressed nothing in this run (train.py:7)",
    ]
    assert [(entry["parameter"], entry["path"], entry["cuts"][0]["line"]) for entry in document["focus"]] == [
        ("0.weight", ["0", "1"], 6),
        ("0.bias", ["0", "1"], 6),
    ]
