"""GF104 recreated-parameter, and how it takes over what its line cuts off."""

from __future__ import annotations

from typing import Any

from hand_built import Program, Via, places, site

from gradflow.graph.flow import CutReason
from gradflow.graph.recording import Membership
from gradflow.report import Severity

RECREATED: dict[str, Any] = {"membership": Membership.RECREATED, "held": False, "live": True}


def test_a_layer_built_in_forward_is_named_at_the_constructor_call() -> None:
    program = Program()
    made = program.layer("pool.mix", definition=site(21, "mix = nn.Linear(2, 2)"), **RECREATED)
    program.loss(program.op("linear", *made, *program.layer("head", live=True)))
    finding = program.finding()
    assert (finding.code, finding.name, finding.severity) == ("GF104", "recreated-parameter", Severity.ERROR)
    assert finding.message == "`pool.mix.weight` and `pool.mix.bias` are made anew in every step"
    assert places(finding) == [("cause", 21, "makes a new leaf in every step")]
    assert finding.help == ("build it once, in `__init__`, and call it in `forward`",)


def rewrapped(line_of_cut: int = 26, source: str = "self.conv.weight = nn.Parameter(w.squeeze(0))") -> Program:
    """gru -> nn.Parameter(...) -> conv.weight, a new leaf -> head -> loss."""
    program = Program()
    gru = program.weight("gru.weight"), program.weight("gru.bias")
    cut = program.cut(CutReason.PARAMETER_REWRAP, line_of_cut, "nn.Parameter(w.squeeze(0))", source=source, column=31)
    new = program.weight("conv.weight", definition=site(26, source), **RECREATED)
    leaf = program.op("Parameter", Via(program.op("gru", *gru), cut), line=26)
    program.loss(program.op("matmul", leaf, new), program.op("linear", program.weight("head.weight", live=True)))
    return program


def test_what_a_rewrapping_line_cuts_off_is_part_of_its_finding() -> None:
    finding = rewrapped().finding()
    assert finding.code == "GF104"
    assert finding.message == "`conv.weight` is made anew in every step, and 2 parameters behind it get no gradient"
    assert finding.parameters == ("gru.weight", "gru.bias", "conv.weight")
    assert finding.help == ("use the computed tensor itself, without `nn.Parameter`: `torch.nn.functional` takes it as a weight",)


def test_a_leaf_in_the_middle_of_an_expression_is_not_the_variable_on_that_line() -> None:
    finding = rewrapped(source="moved = F.conv2d(frame, nn.Parameter(kernel), padding=1)").finding()
    assert finding.parameters == ("gru.weight", "gru.bias")
    assert finding.message == "the leaf of `nn.Parameter(...)` is made anew in every step, and 2 parameters behind it get no gradient"


def test_what_another_line_cuts_off_stays_a_finding_of_its_own() -> None:
    assert [(finding.code, finding.parameters) for finding in rewrapped(27).findings()] == [
        ("GF101", ("gru.weight", "gru.bias")),
        ("GF104", ("conv.weight",)),
    ]


def test_a_leaf_of_the_same_name_as_the_one_it_replaces_is_said_once() -> None:
    program = Program()
    program.weight("conv.weight")
    program.loss(program.op("matmul", program.weight("conv.weight", definition=site(26), **RECREATED)))
    assert program.finding().parameters == ("conv.weight",)


def test_a_leaf_made_in_forward_that_the_loss_does_not_reach_is_no_fault() -> None:
    program = Program()
    program.weight("pool.mix.weight", membership=Membership.RECREATED, held=False)
    program.loss(program.op("linear", program.weight("head.weight", live=True)))
    assert program.findings() == []
