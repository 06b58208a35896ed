"""GF107 escaped-parameter."""

from __future__ import annotations

from typing import Any

from hand_built import Program, Via, places

from gradflow.graph.flow import CutReason, NodeKind
from gradflow.report import Severity
from gradflow.verdict import Verdict


def escaped(*, returns: bool = False, **facts: Any) -> Program:
    """scale -> norm -> item(), and a live head."""
    program = Program()
    norm = program.op("norm", program.weight("scale", **facts), line=30)
    number = program.op("item()", Via(norm, program.cut(CutReason.HOST_SCALAR, 31, ".item()")), line=31, kind=NodeKind.HOST)
    head = program.op("linear", program.weight("head.weight", live=True))
    program.loss(head, *([Via(number)] if returns else []))
    return program


def test_a_value_that_leaves_torch_is_a_warning_at_the_line_where_it_leaves() -> None:
    program = escaped()
    finding = program.finding()
    assert program.verdicts()["scale"] is Verdict.ESCAPED
    assert (finding.code, finding.name, finding.severity) == ("GF107", "escaped-parameter", Severity.WARNING)
    assert finding.message == "1 parameter leaves torch by `item()`, and it was not seen to come back to the loss"
    assert finding.parameters == ("scale",)
    assert places(finding) == [
        ("cause", 31, "leaves torch here"),
        ("definition", 100, "defined here, and no tensor made of it reaches the loss"),
    ]
    assert finding.help == ("if the value has a part in the loss, keep the tensor: remove `item()` on line 31",)


def test_a_value_that_is_seen_to_come_back_is_severed_there() -> None:
    finding = escaped(returns=True).finding()
    assert (finding.code, finding.reason) == ("GF101", "host-scalar")


def test_a_live_parameter_whose_value_is_logged_is_no_fault() -> None:
    assert escaped(live=True).findings() == []


def test_a_parameter_that_no_optimizer_holds_is_information_only() -> None:
    assert escaped(held=False).finding().severity is Severity.INFO
