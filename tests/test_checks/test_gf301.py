"""GF301 not-in-optimizer: what was forgotten, and what was left out on purpose."""

from __future__ import annotations

from typing import Any

import pytest
from hand_built import Program, hidden, places, steps

from gradflow.graph.recording import Membership
from gradflow.report import Severity


def head_of_its_own(**facts: Any) -> Program:
    """A held body, and a head of the same model that is live and in no optimizer."""
    program = Program()
    program.optimizer()
    hidden_state = program.op("linear", *program.layer("body", live=True))
    program.loss(program.op("linear", hidden_state, *program.layer("head", live=True, held=False, **facts)))
    return program


def test_a_head_that_was_made_after_the_optimizer_names_both_lines() -> None:
    finding = head_of_its_own(made_late=True).finding()
    assert (finding.code, finding.name, finding.severity, finding.reason) == ("GF301", "not-in-optimizer", Severity.ERROR, "made-late")
    assert finding.message == "`head` gets a gradient, and no optimizer holds it"
    assert finding.parameters == ("head.weight", "head.bias")
    assert places(finding) == [("cause", 70, "takes parameters, and not these"), ("definition", 102, "defined here")]
    assert finding.help == (
        'to train them, hand over what is missing: `opt.add_param_group({"params": model.head.parameters()})`',
        "or build `opt` on line 70 after all layers are made",
    )
    assert finding.notes == ("they were made after `opt` was built on line 70",)


def test_a_thawed_layer_is_told_from_one_that_was_made_late() -> None:
    finding = head_of_its_own(thawed=True).finding()
    assert finding.notes == ("they were frozen when `opt` was built on line 70, and require grad since",)
    assert finding.help[1] == "or build `opt` on line 70 after the parameters are thawed"


def test_a_layer_behind_held_ones_was_left_out_by_mistake() -> None:
    finding = head_of_its_own().finding()
    assert (finding.code, finding.reason, finding.notes) == ("GF301", "left-out", ())


@pytest.mark.parametrize("held", [True, False])
def test_a_parameter_beside_a_held_one_of_the_same_module_is_missing_from_the_groups(held: bool) -> None:
    program = Program()
    program.optimizer()
    weight = program.weight("block.norm.weight", live=True, held=held)
    gamma = program.weight("block.norm.gamma", live=True, held=False)
    program.loss(program.op("linear", program.op("mul", weight, gamma), *program.layer("head", live=True)))
    assert program.loud() == (["GF301"] if held else [])
    assert program.findings()[0].severity is (Severity.ERROR if held else Severity.INFO)


def test_a_backbone_that_only_feeds_a_trained_head_is_meant() -> None:
    program = Program()
    program.optimizer()
    features = program.op("linear", *program.layer("backbone", live=True, held=False))
    program.loss(program.op("linear", features, *program.layer("head", live=True)))
    finding = program.finding()
    assert (finding.code, finding.severity) == ("GF901", Severity.INFO)
    assert (
        finding.message == "`backbone` gets a gradient that no optimizer uses (2 parameters), taken as meant: it only feeds what is trained"
    )


def test_a_branch_beside_the_trained_head_does_not_only_feed_it() -> None:
    program = Program()
    program.optimizer()
    features = program.op("linear", *program.layer("backbone", live=True, held=False))
    aux = program.op("linear", features, *program.layer("aux", live=True, held=False))
    program.loss(program.op("linear", features, *program.layer("head", live=True)), aux)
    finding = program.finding()
    assert (finding.code, finding.parameters) == ("GF301", ("backbone.weight", "backbone.bias", "aux.weight", "aux.bias"))
    assert finding.message == "`backbone` and `aux` get a gradient, and no optimizer holds them"


def loss_module(**facts: Any) -> Program:
    """A trained model, and a second one that nobody holds."""
    program = Program()
    program.optimizer()
    out = program.op("linear", *program.layer("embedder.0", root="embedder", live=True))
    program.loss(program.op("sub", out, program.weight("margin.centre", root="margin", live=True, held=False, **facts)))
    return program


def test_a_loss_module_with_a_weight_that_nobody_holds_is_an_error() -> None:
    finding = loss_module().finding()
    assert (finding.code, finding.parameters, finding.cause and finding.cause.line) == ("GF301", ("margin.centre",), 70)
    assert finding.help[0].endswith('`opt.add_param_group({"params": margin.parameters()})`')


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"evaluating": True}, "it runs in eval mode, and nothing of it is trained"),
        ({"twin": "embedder", **steps(1.0, None)}, "it is a copy of `embedder`, by class and shapes"),
        ({"written": True}, "its values are written between steps by something else than an optimizer"),
        ({"moved": True}, "its values are written between steps by something else than an optimizer"),
    ],
)
def test_a_model_outside_the_training_is_meant(facts: dict[str, Any], why: str) -> None:
    finding = loss_module(**facts).finding()
    assert (finding.code, finding.severity) == ("GF901", Severity.INFO)
    assert finding.message.endswith(f"taken as meant: {why}")


def test_a_copy_that_gets_a_gradient_in_every_step_was_forgotten() -> None:
    assert loss_module(twin="embedder").loud() == ["GF301"]


def test_a_copy_whose_values_only_have_to_be_met_is_a_teacher() -> None:
    program = Program()
    program.optimizer()
    student = program.op("linear", program.weight("embedder.weight", live=True, root="embedder"))
    teacher = program.op("linear", program.weight("old.weight", live=True, held=False, root="old", twin="embedder"))
    node = program.op("mse_loss", student, teacher)
    program.build.losses.append(node)
    assert [finding.code for finding in program.findings()] == ["GF901"]


def test_a_tensor_in_no_module_that_learns_and_is_not_held_is_an_error() -> None:
    program = Program()
    program.optimizer()
    log_sigma = program.weight("log_sigma", live=True, held=False, root="", membership=Membership.LOOSE)
    program.loss(program.op("mul", program.op("linear", program.weight("lin.weight", live=True)), log_sigma))
    assert program.finding().parameters == ("log_sigma",)
    assert program.loud() == ["GF301"]


@pytest.mark.parametrize(("empty", "codes"), [(True, ["GF301"]), (False, ["GF901"])])
def test_a_backbone_that_was_left_out_is_meant_unless_a_group_is_empty(empty: bool, codes: list[str]) -> None:
    program = Program()
    program.optimizer(empty_group=empty)
    backbone = program.op("linear", program.weight("backbone.weight", live=True, held=False))
    program.loss(program.op("linear", backbone, program.weight("head.weight", live=True)))
    assert [finding.code for finding in program.findings()] == codes


def test_a_twin_among_the_layers_of_one_model_excuses_nothing() -> None:
    assert head_of_its_own(twin="model.other_head").loud() == ["GF301"]


def test_where_no_optimizer_steps_none_is_asked_for() -> None:
    program = head_of_its_own(made_late=True)
    program.optimizers.clear()
    assert program.findings() == []


def test_what_gets_no_gradient_is_not_asked_to_be_held() -> None:
    program = Program()
    program.optimizer()
    program.layer("head", held=False, made_late=True)
    program.loss(program.op("linear", *program.layer("body", live=True)))
    assert program.loud() == []


def test_an_invariant_bias_alone_is_not_missed() -> None:
    program = Program()
    program.optimizer()
    weight = program.weight("conv.weight", live=True)
    bias = program.weight("conv.bias", held=False, **steps(0.0, 0.0))
    program.loss(program.op("conv2d", weight, bias))
    assert program.loud() == []


def test_an_unregistered_leaf_is_said_by_its_own_check() -> None:
    program = Program()
    program.optimizer()
    leaf = program.weight("layers[0].weight", live=True, made_late=True, **hidden("layers"))
    program.loss(program.op("linear", leaf, *program.layer("head", live=True)))
    assert program.loud() == ["GF103"]
