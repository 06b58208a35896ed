"""GF102 unused-parameter: grouping, severities and words."""

from __future__ import annotations

import pytest
from hand_built import Program, places

from gradflow.graph.flow import Node, NodeKind
from gradflow.graph.recording import Membership, TargetKind
from gradflow.report import Severity
from gradflow.verdict import Verdict


def unused(kind: TargetKind = TargetKind.SCRIPT, **facts: object) -> Program:
    """A live head, and an aux_head that nothing calls."""
    program = Program(kind)
    program.layer("aux_head", **facts)
    program.loss(program.op("linear", *program.layer("head", live=True)))
    return program


def test_a_layer_that_is_never_called_is_one_finding_at_its_definition() -> None:
    finding = unused().finding()
    assert (finding.code, finding.name, finding.severity) == ("GF102", "unused-parameter", Severity.ERROR)
    assert finding.message == "`aux_head` is never used on the way to the loss (2 parameters)"
    assert finding.parameters == ("aux_head.weight", "aux_head.bias")
    assert places(finding) == [("definition", 100, "defined here, and no operation on the way to the loss takes it")]
    assert finding.notes == ("`opt` holds them",)
    assert finding.help == (
        "use `model.aux_head` in `forward`, or delete it",
        "to keep it without training it, say so: `model.aux_head.requires_grad_(False)`",
    )


@pytest.mark.parametrize(
    ("kind", "held", "severity"),
    [
        (TargetKind.SCRIPT, True, Severity.ERROR),
        (TargetKind.NOTEBOOK, True, Severity.ERROR),
        (TargetKind.COMMAND, True, Severity.ERROR),
        (TargetKind.MODULE, True, Severity.WARNING),
        (TargetKind.CALL, True, Severity.WARNING),
        (TargetKind.API, True, Severity.WARNING),
        (TargetKind.SCRIPT, False, Severity.INFO),
        (TargetKind.API, False, Severity.INFO),
    ],
)
def test_it_is_an_error_only_where_a_script_trains_it(kind: TargetKind, held: bool, severity: Severity) -> None:
    assert unused(kind, held=held).finding().severity is severity


def test_without_any_optimizer_it_is_a_warning_beside_trained_neighbours() -> None:
    program = Program(TargetKind.CALL)
    program.layer("aux_head", held=False, siblings_trained=True)
    program.loss(program.op("linear", *program.layer("head", live=True, held=False)))
    assert program.finding().severity is Severity.WARNING


def test_the_topmost_module_that_is_unused_as_a_whole_is_named() -> None:
    program = Program()
    for name in ("dec.up.lin1", "dec.up.lin2", "dec.skip"):
        program.layer(name)
    program.loss(program.op("linear", *program.layer("head", live=True)))
    finding = program.finding()
    assert finding.message == "`dec` is never used on the way to the loss (6 parameters)"


def test_modules_with_a_used_parameter_are_not_named_as_a_whole() -> None:
    program = Program()
    program.weight("dec.skip.weight")
    program.weight("dec.norm.weight")
    program.loss(program.op("linear", program.weight("dec.up.weight", live=True)))
    assert [finding.message for finding in program.findings()] == [
        "`dec.skip` is never used on the way to the loss (1 parameter)",
        "`dec.norm` is never used on the way to the loss (1 parameter)",
    ]


def test_a_frozen_parameter_does_not_split_its_module() -> None:
    program = Program()
    program.weight("aux.weight")
    program.weight("aux.scale", requires_grad=False, held=False)
    program.loss(program.op("linear", program.weight("head.weight", live=True)))
    finding = program.finding()
    assert (finding.message, finding.parameters) == ("`aux` is never used on the way to the loss (1 parameter)", ("aux.weight",))


def test_a_parameter_of_its_own_is_named_without_a_count() -> None:
    program = Program()
    program.weight("cls_token")
    program.loss(program.op("linear", program.weight("head.weight", live=True)))
    finding = program.finding()
    assert finding.message == "`cls_token` is never used on the way to the loss"
    assert finding.notes == ("`opt` holds it",)


def test_a_root_that_is_never_used_is_named_by_its_variable() -> None:
    program = Program()
    program.layer("netD.0", root="netD")
    program.loss(program.op("linear", *program.layer("netG.0", root="netG", live=True)))
    finding = program.finding()
    assert finding.message == "`netD` is never used on the way to the loss (2 parameters)"
    assert finding.help[0] == "use `netD` in `forward`, or delete it"


def test_a_twin_that_is_called_twice_in_a_step_is_pointed_at() -> None:
    program = Program()
    once, twice = program.layer("fc2"), program.layer("fc1", live=True)
    assert len(once) == 2
    program.loss(program.op("linear", program.op("linear", *twice), *twice))
    assert program.finding().notes[-1] == "`fc1`, of the same class and shape, is called more than once in a step"


def test_a_twin_of_another_shape_is_not_pointed_at() -> None:
    program = Program()
    program.layer("fc2", shape=(3, 3))
    twice = program.layer("fc1", live=True)
    program.loss(program.op("linear", program.op("linear", *twice), *twice))
    assert program.finding().notes == ("`opt` holds them",)


@pytest.mark.parametrize("membership", [Membership.HIDDEN, Membership.LOOSE, Membership.RECREATED])
def test_an_unregistered_tensor_that_nobody_holds_is_not_expected_to_learn(membership: Membership) -> None:
    assert unused(membership=membership, held=False).findings() == []


def test_without_a_trace_nothing_is_called_unused() -> None:
    program = Program()
    program.weight("enc.weight")
    program.build.losses.append(program.build.node(Node(NodeKind.AUTOGRAD, "AddBackward0")))
    assert program.verdicts() == {"enc.weight": Verdict.UNKNOWN}
    assert program.findings() == []
