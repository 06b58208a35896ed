"""GF901 intended-stop-gradient and GF903 conditional-parameter: information only, one a cause."""

from __future__ import annotations

from hand_built import Program, Via, places, steps

from gradflow.report import Severity


def test_a_target_network_is_one_information_at_the_line_that_cuts() -> None:
    program = Program()
    target = program.layer("target.0", root="target", held=False, written=True)
    value = program.op("detach", Via(program.op("linear", *target), program.cut()), line=28)
    program.loss(program.op("linear", *program.layer("online.0", root="online", live=True)), Via(value))
    finding = program.finding()
    assert (finding.code, finding.severity, finding.parameters) == ("GF901", Severity.INFO, ("target.0.weight", "target.0.bias"))
    assert finding.message == (
        "`target` gets no gradient (2 parameters), taken as meant: "
        "their values are written between steps by something else than an optimizer"
    )
    assert places(finding) == [("cause", 28, "keeps the gradient away, as is meant")]
    assert finding.help == ("to say it in the program: `target.requires_grad_(False)`",)


def test_what_a_fault_leaves_out_behind_the_same_cut_is_not_said_twice() -> None:
    program = Program()
    enc, copy = program.weight("enc.weight"), program.weight("ema.weight", held=False)
    program.loss(program.op("detach", Via(program.op("linear", enc, copy), program.cut()), line=28))
    finding = program.finding()
    assert finding.code == "GF101"
    assert finding.notes[-1].startswith("1 further parameter behind the cut left out")


def test_several_cuts_of_one_teacher_are_one_information() -> None:
    program = Program()
    values = []
    for line in (28, 29):
        teacher = program.weight(f"teacher.{line}", root="teacher", held=False)
        values.append(Via(program.op("detach", Via(teacher, program.cut(line=line)), line=line)))
    program.loss(program.op("linear", *program.layer("student.0", root="student", live=True)), *values)
    assert [finding.code for finding in program.findings()] == ["GF901"]


def test_experts_that_get_tokens_in_some_steps_are_one_information() -> None:
    program = Program()
    experts = [program.weight(f"experts.{number}.weight", **steps(1.0, None, 1.0)) for number in (0, 1)]
    program.loss(program.op("linear", *experts, *program.layer("router", live=True)))
    finding = program.finding()
    assert (finding.code, finding.severity) == ("GF903", Severity.INFO)
    assert finding.message == "`experts` is live in 2 of 3 steps only (2 parameters)"


def test_passes_of_several_losses_without_an_optimizer_are_not_conditions() -> None:
    program = Program()
    program.loss(program.op("linear", program.weight("head.weight", held=False, **steps(1.0, None))))
    assert program.findings() == []


def _three_experts(**second: object) -> Program:
    """A router that chose the first expert in both steps, the second as said, and never the third."""
    program = Program()
    first = program.layer("experts.0", live=True, **steps(1.0, 1.0))
    other = program.layer("experts.1", live=True, **second)
    program.layer("experts.2")
    program.loss(program.op("linear", *first, *other))
    return program


def test_an_expert_that_was_never_chosen_is_no_fault_where_another_is_chosen_at_times() -> None:
    program = _three_experts(**steps(None, 1.0))
    assert program.loud() == []
    idle = next(finding for finding in program.findings() if "experts.2.weight" in finding.parameters)
    assert (idle.code, idle.message) == ("GF903", "`experts.2` was not chosen in any step seen")


def test_a_numbered_layer_that_is_left_out_is_unused_where_all_others_are_always_used() -> None:
    assert _three_experts(**steps(1.0, 1.0)).loud() == ["GF102"]
