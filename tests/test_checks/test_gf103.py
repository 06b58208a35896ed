"""GF103 unregistered-parameter."""

from __future__ import annotations

import pytest
from hand_built import Program, Via, hidden, places, site

from gradflow.graph.recording import Membership
from gradflow.report import Severity


def listed(*names: str, **facts: object) -> Program:
    """A registered head, and live leaves that are held otherwise."""
    program = Program()
    leaves = [program.weight(name, live=True, **{**hidden("hidden_layers"), **facts}) for name in names]
    program.loss(program.op("linear", *leaves, *program.layer("head", live=True)))
    return program


def test_layers_in_a_plain_list_are_one_finding_at_the_assignment() -> None:
    names = ("hidden_layers[0].weight", "hidden_layers[0].bias", "hidden_layers[1].weight")
    finding = listed(*names).finding()
    assert (finding.code, finding.name, finding.severity) == ("GF103", "unregistered-parameter", Severity.ERROR)
    assert finding.message == "`hidden_layers` holds 3 parameters that are in no module's `parameters()`"
    assert finding.parameters == names
    assert places(finding) == [("cause", 7, "is not registered with the module")]
    assert finding.help == ("register it: `self.hidden_layers = nn.ModuleList([...])`",)


@pytest.mark.parametrize(
    ("name", "source", "message", "cure"),
    [
        (
            "enc.heads['a'].weight",
            "self.heads = {}",
            "`enc.heads` holds 1 parameter that is in no module's `parameters()`",
            "register it: `self.heads = nn.ModuleDict({...})`",
        ),
        (
            "scales[0]",
            "self.scales = [torch.ones(2, requires_grad=True)]",
            "`scales` holds 1 parameter that is in no module's `parameters()`",
            "register it: `self.scales = nn.ParameterList([...])`",
        ),
        (
            "scale",
            "self.scale = nn.Parameter(torch.ones(2)).to(device)",
            "`scale` gets a gradient, but is in no module's `parameters()`",
            "register it: let `self.scale` be the `nn.Parameter` itself, and move the module; `.to()` returns a plain tensor",
        ),
        (
            "scale",
            "self.scale = torch.ones(2, requires_grad=True)",
            "`scale` gets a gradient, but is in no module's `parameters()`",
            "register it: `self.scale = nn.Parameter(...)`",
        ),
    ],
)
def test_the_words_and_the_cure_follow_the_way_it_is_held(name: str, source: str, message: str, cure: str) -> None:
    finding = listed(name, definition=site(7, source)).finding()
    assert (finding.message, finding.help) == (message, (cure,))


def test_two_assignments_are_two_findings() -> None:
    program = Program()
    leaves = [program.weight(name, live=True, **hidden(name)) for name in ("a", "b")]
    leaves.append(program.weight("c", live=True, **{**hidden("c"), "definition": site(8)}))
    program.loss(program.op("add", *leaves))
    assert [finding.cause.line for finding in program.findings() if finding.cause] == [7, 7, 8]


def test_a_leaf_that_an_optimizer_trains_by_hand_is_information_only() -> None:
    finding = listed("log_alpha", held=True).finding()
    assert finding.severity is Severity.INFO
    assert finding.notes == ("an optimizer holds it by hand, so it is trained; `state_dict()` and `.to()` still pass it over",)


def test_a_leaf_of_the_script_itself_is_no_fault() -> None:
    assert listed("image", membership=Membership.LOOSE).findings() == []


def test_a_registered_live_parameter_is_no_fault() -> None:
    assert listed("enc.weight", membership=Membership.REGISTERED).findings() == []


def test_a_teacher_that_hides_in_a_list_under_no_grad_is_not_said_to_learn() -> None:
    program = Program()
    teacher = program.weight("teacher[0].weight", **hidden("teacher"))
    region = program.region()
    out = program.op("linear", Via(teacher, region), line=15, region=region)
    program.loss(program.op("linear", program.weight("head.weight", live=True)), Via(out))
    assert [(finding.code, finding.severity) for finding in program.findings()] == [("GF901", Severity.INFO)]
