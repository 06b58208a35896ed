"""GF105 loss-rebuilt."""

from __future__ import annotations

from hand_built import Program, Via, places, site

from gradflow.graph.flow import CutReason, NodeKind
from gradflow.graph.recording import LossRebuilt
from gradflow.report import Severity

SOURCE = "losses = torch.tensor(losses, requires_grad=True)"


def rebuilt(*, by_item: bool = False, live: bool = False) -> Program:
    """conv and fc -> losses -> (item) -> a new leaf -> backward."""
    program = Program()
    conv, fc = program.weight("conv.weight"), program.weight("fc.weight", live=live)
    loss = program.op("cross_entropy", conv, fc, line=20)
    if by_item:
        loss = program.op("item()", Via(loss, program.cut(CutReason.HOST_SCALAR, 21, ".item()")), line=21, kind=NodeKind.HOST)
    leaf = program.op("tensor", Via(loss, program.cut(CutReason.TENSOR_COPY, 22, "torch.tensor(losses)", source=SOURCE)), line=22)
    program.rebuilt.append(LossRebuilt(leaf, site(22, SOURCE)))
    program.build.losses.append(leaf)
    return program


def test_all_that_the_new_leaf_was_made_from_is_one_finding_at_the_rebuilding_line() -> None:
    finding = rebuilt().finding()
    assert (finding.code, finding.name, finding.severity) == ("GF105", "loss-rebuilt", Severity.ERROR)
    assert finding.message == f"`{SOURCE}` makes the loss a new leaf, so 2 parameters get no gradient"
    assert finding.parameters == ("conv.weight", "fc.weight")
    assert places(finding) == [("cause", 22, "a new leaf: backward stops here")]
    assert finding.help == ("compute the loss from the tensors themselves on line 22: `torch.stack(losses).mean()`, or `sum(losses)`",)


def test_a_further_cut_behind_the_rebuilt_loss_is_shown_too() -> None:
    finding = rebuilt(by_item=True).finding()
    assert [place[:2] for place in places(finding)] == [("cause", 22), ("cause", 21)]
    assert finding.help[1] == "then, keep the tensor: remove `.item()` on line 21, and call it only where a number is logged"


def test_what_another_loss_trains_is_not_counted() -> None:
    finding = rebuilt(live=True).finding()
    assert finding.parameters == ("conv.weight",)
    assert finding.message == f"`{SOURCE}` makes the loss a new leaf, so 1 parameter gets no gradient"


def test_a_rebuilt_loss_of_which_every_parameter_is_trained_is_no_fault() -> None:
    program = Program()
    weight = program.weight("fc.weight", live=True)
    leaf = program.op("tensor", Via(program.op("mean", weight), program.cut(CutReason.TENSOR_COPY, 22, "torch.tensor(losses)")), line=22)
    program.rebuilt.append(LossRebuilt(leaf, site(22)))
    program.build.losses.append(leaf)
    assert program.findings() == []
