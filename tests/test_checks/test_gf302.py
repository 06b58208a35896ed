"""GF302 stale-optimizer: tensors that were replaced under an optimizer."""

from __future__ import annotations

from typing import Any

from hand_built import Program, places, site

from gradflow.graph.recording import Membership, StaleOptimizer
from gradflow.graph.site import Site
from gradflow.report import Severity

REPLACED = site(25, "model.head = nn.Linear(2, 2)")


def replaced(*, held: bool = False, new: bool = True, place: Site | None = REPLACED, **facts: Any) -> Program:
    """`head` was replaced on line 25 under an optimizer that was built on line 70."""
    program = Program()
    optimizer = program.optimizer()
    body = program.layer("body", live=True)
    head = program.layer("head", live=True, held=held, **facts)
    program.loss(program.op("linear", program.op("linear", *body), *head))
    program.stale.append(StaleOptimizer("opt", optimizer.site, place, (2, 3) if new else (), ("head.weight", "head.bias")))
    return program


def test_the_replacement_is_the_cause_and_the_constructor_stands_beside_it() -> None:
    finding = replaced(made_late=True).finding()
    assert (finding.code, finding.severity, finding.parameters) == ("GF302", Severity.ERROR, ("head.weight", "head.bias"))
    assert finding.message == "`opt` holds tensors that were replaced: 2 parameters of `head` are not updated"
    assert places(finding) == [
        ("cause", 25, "puts new tensors in the place of those that `opt` holds"),
        ("definition", 70, "holds the old tensors"),
    ]
    assert finding.help == ("build `opt` on line 70 after the replacement on line 25",)


def test_new_tensors_that_another_optimizer_steps_on_are_no_fault() -> None:
    assert replaced(held=True).findings() == []


def test_new_tensors_that_are_frozen_are_not_meant_to_learn() -> None:
    assert replaced(requires_grad=False).loud() == []


def test_where_the_new_ones_are_not_known_the_old_ones_are_named() -> None:
    finding = replaced(new=False, held=True).finding()
    assert (finding.code, finding.parameters) == ("GF302", ("head.weight", "head.bias"))


def test_old_tensors_without_a_known_replacement_are_no_finding() -> None:
    assert replaced(new=False, held=True, place=None).findings() == []


def test_the_old_tensors_are_not_said_to_be_unused() -> None:
    program = replaced(made_late=True)
    program.weight("old_head", membership=Membership.LOOSE)
    program.stale[0] = StaleOptimizer("opt", program.optimizers[0].site, REPLACED, (2, 3), ("old_head",))
    assert program.loud() == ["GF302"]
