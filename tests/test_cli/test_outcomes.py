"""From a recording, or from how a child process ended, to the outcome, the sentence and the exit code. No torch, no process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradflow import api, cli
from gradflow.api import FailOn, build_report
from gradflow.capture.launch.job import Ending, Way, read, write_atomically
from gradflow.errors import InvariantError
from gradflow.graph.flow import FlowGraph
from gradflow.graph.recording import ParameterFact, Recording, StepFact, Target, TargetKind
from gradflow.report import Finding, Outcome, Report, Severity
from gradflow.verdict import Influence, Verdict

TARGET = Target(TargetKind.SCRIPT, "train.py", "gradflow audit train.py")


def fact(*steps: StepFact, requires_grad: bool = True, optimizers: tuple[str, ...] = (), opaque: str = "") -> ParameterFact:
    return ParameterFact(
        "lin.weight", "model", (2, 3), 6, "float32", requires_grad, optimizers=optimizers, opaque=opaque, steps=steps
    )  # fmt: skip


def recording(*facts: ParameterFact, crash: str = "", timed_out: bool = False) -> Recording:
    return Recording(TARGET, FlowGraph(), facts, backward_passes=1, optimizer_steps=1, crash=crash, timed_out=timed_out)


LIVE = fact(StepFact(1, True, True, 0.5), StepFact(2, True, True, 0.25))


@pytest.fixture
def finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every recording has one warning."""
    found = (Finding("GF107", "escaped-parameter", Severity.WARNING, "it escapes", ("lin.weight",)),)
    monkeypatch.setattr(api, "diagnose", lambda recording: ((Verdict.LIVE,), (Influence.LOSS,), found))


def test_a_row_holds_what_each_step_brought() -> None:
    (row,) = build_report(recording(LIVE)).parameters
    assert (row.verdict, row.live_in, row.grad_norm) == (Verdict.LIVE, (2, 2), 0.25)
    assert [(step.step, step.verdict, step.grad_norm) for step in row.history] == [(1, Verdict.LIVE, 0.5), (2, Verdict.LIVE, 0.25)]


def test_a_frozen_parameter_is_frozen_in_every_step() -> None:
    (row,) = build_report(recording(fact(StepFact(1, False, False), requires_grad=False))).parameters
    assert (row.verdict, row.history[0].verdict, row.grad_norm) == (Verdict.FROZEN, Verdict.FROZEN, None)


@pytest.mark.parametrize(
    ("given", "because"),
    [
        (fact(optimizers=("opt",)), "no optimizer that holds it has stepped"),
        (fact(), "no backward pass was seen"),
        (fact(StepFact(1, True, True, 1.0), opaque="functional training"), "functional training"),
        (LIVE, ""),
    ],
)
def test_an_unknown_verdict_has_its_reason(given: ParameterFact, because: str) -> None:
    (row,) = build_report(recording(given)).parameters
    assert row.because == because


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (recording(LIVE), Outcome.CLEAN),
        (recording(LIVE, crash="Traceback"), Outcome.PARTIAL),
        (recording(LIVE, timed_out=True), Outcome.PARTIAL),
        (recording(fact()), Outcome.NOTHING),
        (recording(), Outcome.NOTHING),
        (recording(fact(), crash="Traceback"), Outcome.CRASHED),
        (recording(fact(), timed_out=True), Outcome.TIMEOUT),
    ],
)
def test_an_audit_is_clean_only_where_a_step_was_judged_and_nothing_cut_it_short(given: Recording, outcome: Outcome) -> None:
    report = build_report(given)
    assert report.outcome is outcome
    assert bool(report.message) is (outcome is not Outcome.CLEAN)


def test_a_run_of_what_has_no_parameters_says_so() -> None:
    assert build_report(recording()).message == "no step could be judged: nothing that ran has a parameter that could be trained"


@pytest.mark.parametrize(
    ("level", "outcome"), [(FailOn.ERROR, Outcome.CLEAN), (FailOn.WARNING, Outcome.FINDINGS), (FailOn.NEVER, Outcome.CLEAN)]
)
@pytest.mark.usefixtures("finding")
def test_a_finding_fails_from_its_level_on(level: FailOn, outcome: Outcome) -> None:
    assert build_report(recording(LIVE), level).outcome is outcome


@pytest.mark.usefixtures("finding")
def test_findings_count_though_the_program_crashed() -> None:
    assert build_report(recording(LIVE, crash="Traceback"), FailOn.WARNING).outcome is Outcome.FINDINGS


@pytest.mark.parametrize("outcome", Outcome)
def test_exit_1_means_findings_and_exit_0_an_audit(outcome: Outcome) -> None:
    expected = {Outcome.FINDINGS: 1, Outcome.CLEAN: 0, Outcome.PARTIAL: 0}.get(outcome, 2)
    assert cli._exit_code(Report(outcome, TARGET)) == expected


@pytest.mark.parametrize("way", Way)
def test_no_way_to_end_without_a_recording_is_an_audit(way: Way) -> None:
    report = api._report_of(Ending(way), TARGET, FailOn.ERROR)
    assert cli._exit_code(report) == 2


def test_an_ending_is_read_back_and_a_missing_one_is_none(tmp_path: Path) -> None:
    ending = Ending(Way.ENDED, recording(LIVE), "done")
    write_atomically(str(tmp_path / "ending"), ending)
    assert read(str(tmp_path / "ending")) == ending
    assert read(str(tmp_path / "other")) is None
    assert [path.name for path in tmp_path.iterdir()] == ["ending"]


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), InvariantError("edge 3 is wrong")])
def test_a_bug_in_the_command_line_is_neither_clean_nor_findings(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(api, "audit_script", fail)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("")
    with pytest.raises(SystemExit) as end:
        cli.main(["audit", "--format", "json", "train.py"])
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert json.loads(out)["outcome"] == "crashed" and str(error) in json.loads(out)["message"]
    assert "Traceback" in err and "this is a bug in gradflow, please report it" in err
