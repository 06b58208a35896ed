"""How the checks are found, ordered and merged, and what influence says."""

from __future__ import annotations

from hand_built import Program, Via, hidden

from gradflow.checks import diagnose
from gradflow.checks.base import PRECEDENCE, all_checks, in_precedence
from gradflow.graph.flow import FlowGraph
from gradflow.graph.recording import Recording, Target, TargetKind
from gradflow.report import Severity
from gradflow.verdict import Influence, Verdict


def test_every_check_has_its_code_in_its_file_name_and_a_page_with_the_four_headings() -> None:
    for check in all_checks():
        module = check.__name__  # type: ignore[attr-defined]
        assert module.endswith(f"{check.CODE.lower()}_{check.NAME.replace('-', '_')}")
        headings = [line for line in (check.__doc__ or "").splitlines() if line.startswith("## ")]
        assert headings == ["## What it checks", "## Why it matters", "## Example", "## Use instead"]


def test_checks_run_in_order_of_precedence() -> None:
    codes = [check.CODE for check in in_precedence(all_checks())]
    assert codes[:8] == list(PRECEDENCE) == ["GF103", "GF104", "GF105", "GF106", "GF101", "GF102", "GF302", "GF301"]
    assert codes[8:] == sorted(codes[8:]) and codes[8] == "GF107"


def test_a_parameter_is_said_by_one_finding_only() -> None:
    program = Program()
    leaf = program.weight("layers[0].weight", live=True, **hidden("layers"))
    program.loss(program.op("linear", leaf), Via(program.op("detach", Via(program.weight("enc.weight"), program.cut()), line=28)))
    program.weight("aux.weight")
    findings = program.findings()
    names = [name for finding in findings for name in finding.parameters]
    assert sorted(names) == ["aux.weight", "enc.weight", "layers[0].weight"]


def test_findings_come_worst_first_then_by_code_and_line() -> None:
    program = Program(TargetKind.API)
    program.weight("aux.weight")
    for line in (31, 30):
        weight = program.weight(f"enc{line}.weight")
        program.loss(program.op("detach", Via(weight, program.cut(line=line)), line=line))
    found = [(finding.code, finding.severity, finding.cause.line) for finding in program.findings() if finding.cause]
    assert found == [("GF101", Severity.ERROR, 30), ("GF101", Severity.ERROR, 31), ("GF102", Severity.WARNING, 100)]


def test_influence_tells_loss_none_and_untraced_apart() -> None:
    program = Program()
    program.loss(program.op("detach", Via(program.weight("enc.weight"), program.cut()), line=28))
    program.weight("aux.weight")
    recording = program.recording()
    assert diagnose(recording)[1] == (Influence.LOSS, Influence.NONE)
    untraced = Recording(recording.target, FlowGraph(), recording.parameters)
    assert diagnose(untraced)[:2] == ((Verdict.UNKNOWN,) * 2, (Influence.UNTRACED,) * 2)


def test_an_empty_recording_has_no_findings() -> None:
    assert diagnose(Recording(Target(TargetKind.API, "", ""), FlowGraph())) == ((), (), ())


def test_the_same_recording_gives_the_same_findings() -> None:
    program = Program()
    program.loss(program.op("detach", Via(program.weight("enc.weight"), program.cut()), line=28))
    recording = program.recording()
    assert diagnose(recording) == diagnose(recording)
