"""GF307 nothing-trainable: optimizers over frozen parameters."""

from __future__ import annotations

from typing import Any

from hand_built import Program, places, steps

from gradflow.report import Severity
from gradflow.verdict import Verdict

FROZEN: dict[str, Any] = {"requires_grad": False, "optimizers": ("opt",)}


def frozen(**facts: Any) -> Program:
    """An adapter that its own optimizer holds, frozen with the rest, and a head that is trained."""
    program = Program()
    program.optimizer("opt", held=2, trainable=0)
    program.optimizer("opt_head", line=71, held=2, trainable=2)
    out = program.op("linear", *program.layer("model.adapter", **{**FROZEN, **facts}))
    program.loss(program.op("linear", out, *program.layer("head.0", root="head", live=True, optimizers=("opt_head",))))
    return program


def test_an_optimizer_over_frozen_parameters_is_an_error_at_its_constructor() -> None:
    program = frozen()
    finding = program.finding()
    assert (finding.code, finding.severity, finding.parameters) == (
        "GF307",
        Severity.ERROR,
        ("model.adapter.weight", "model.adapter.bias"),
    )
    assert finding.message == "`opt` holds 2 parameters, and none requires grad"
    assert places(finding) == [("cause", 70, "holds frozen parameters only")]
    assert finding.help[0] == "to train `model`, call `model.requires_grad_(True)` before `opt` is built on line 70"
    assert program.verdicts()["model.adapter.weight"] is Verdict.FROZEN


def test_freezing_by_turns_is_no_fault() -> None:
    assert frozen(**steps(1.0, None)).findings() == []


def test_one_trainable_parameter_is_enough() -> None:
    program = frozen()
    program.optimizers[0] = program.optimizer("opt", held=2, trainable=1)
    del program.optimizers[2:]
    assert program.findings() == []


def test_a_program_that_stops_as_nothing_requires_grad_is_explained() -> None:
    program = Program()
    program.layer("lin", requires_grad=False, held=False)
    program.crash = "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn"
    finding = program.finding()
    assert (finding.code, finding.parameters) == ("GF307", ("lin.weight", "lin.bias"))
    assert finding.message == "no parameter of `model` requires grad, and nothing is left to train"


def test_that_crash_with_a_trainable_parameter_has_another_cause() -> None:
    program = Program()
    program.layer("lin", requires_grad=False, held=False)
    program.weight("scale", steps=())
    program.crash = "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn"
    assert program.findings() == []
