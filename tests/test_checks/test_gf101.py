"""GF101 severed-parameter: which line, which parameters, which words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_built import Program, Via, places, site

from gradflow.graph.flow import CutReason, Node, NodeKind
from gradflow.report import Severity
from gradflow.verdict import Verdict


def article(line: int = 14, **region: str) -> Program:
    """lin0 -> lin1 under no_grad -> lin2 -> loss."""
    program = Program()
    lin0, lin1, lin2 = program.layer("lin0"), program.layer("lin1"), program.layer("lin2", live=True)
    cut = program.region(line, **region)
    first = program.op("linear", *lin0, line=12)
    middle = program.op("linear", Via(first, cut), *(Via(weight, cut) for weight in lin1), line=line + 1, region=cut)
    program.loss(program.op("linear", Via(middle), *lin2, line=line + 2))
    return program


def test_the_with_line_is_blamed_for_the_layer_in_the_block_and_for_the_one_before_it() -> None:
    finding = article().finding()
    assert (finding.code, finding.name, finding.severity, finding.reason) == ("GF101", "severed-parameter", Severity.ERROR, "no-grad")
    assert finding.message == "4 parameters are cut off from the loss by `torch.no_grad()`"
    assert finding.parameters == ("lin0.weight", "lin0.bias", "lin1.weight", "lin1.bias")
    assert finding.cause == site(14)


def test_the_line_where_values_leave_the_block_is_shown_beside_the_cause() -> None:
    assert places(article().finding()) == [
        ("cause", 14, "autograd records nothing in this block"),
        ("leak", 15, "leaves the block without a grad_fn"),
    ]


def test_the_help_says_how_to_train_and_how_to_freeze_just_what_is_in_the_block() -> None:
    assert article().finding().help == (
        "to train them, delete `with torch.no_grad():` on line 14",
        "to freeze them, say so: `model.lin1.requires_grad_(False)` in place of the block, so that `lin0` learns",
    )


def test_the_layer_after_the_block_is_live_and_is_not_mentioned() -> None:
    program = article()
    assert program.verdicts()["lin2.weight"] is Verdict.LIVE
    assert "lin2" not in repr(program.finding())


def test_a_decorator_is_called_a_decorator() -> None:
    finding = article(33).finding()
    assert places(finding) == [
        ("cause", 33, "autograd records nothing in this function"),
        ("leak", 34, "leaves the function without a grad_fn"),
    ]
    assert finding.help == (
        "to train them, remove the decorator `@torch.no_grad()` on line 33",
        "to freeze them, say so: `model.lin1.requires_grad_(False)` in place of the decorator, so that `lin0` learns",
    )


def test_a_statement_that_switches_gradients_off_is_answered_by_one_that_switches_them_on() -> None:
    finding = article(14, label="torch.set_grad_enabled(False)", source="torch.set_grad_enabled(False)").finding()
    assert finding.sites[0].note == "autograd records nothing from here on"
    cure = "switch gradients back on after `torch.set_grad_enabled(False)` on line 14, with `torch.set_grad_enabled(True)`"
    assert finding.help[0] == f"to train them, {cure}"


def test_a_with_of_several_items_keeps_the_others() -> None:
    finding = article(14, source="with torch.no_grad(), autocast():").finding()
    assert finding.help[0] == "to train them, take `torch.no_grad()` out of the `with` on line 14"


@pytest.mark.parametrize(
    ("reason", "label", "cure"),
    [
        (CutReason.REENTRANT_CHECKPOINT, "checkpoint(use_reentrant=True)", "pass `use_reentrant=False` to the checkpoint on line 14"),
        (
            CutReason.CUSTOM_FUNCTION,
            "Reversible.apply",
            "give the parameters to `Reversible.apply` on line 14 as arguments, and return their gradients from its `backward`",
        ),
    ],
)
def test_a_function_that_runs_layers_without_gradients_is_not_answered_like_a_mode(reason: CutReason, label: str, cure: str) -> None:
    program = Program()
    head = program.layer("head", live=True)
    cut = program.build.cut(reason, site(14, f"x = {label}"), label, region=True)
    inner = program.op("linear", *(Via(weight, cut) for weight in program.layer("body")), line=15, region=cut)
    program.loss(program.op("linear", Via(inner), *head, line=18))
    assert program.finding().help[0] == f"to train them, {cure}"


def test_where_all_severed_layers_are_in_the_block_they_are_frozen_in_a_loop() -> None:
    program = Program()
    layers = [program.layer(name, root="net") for name in ("fc1", "fc2", "fc3")]
    head = program.layer("head", root="net", live=True)
    cut = program.region()
    last = program.build.node(Node(NodeKind.INPUT, "x"))
    for number, layer in enumerate(layers):
        last = program.op("linear", Via(last), *(Via(weight, cut) for weight in layer), line=15 + number, region=cut)
    program.loss(program.op("linear", Via(last), *head, line=18))
    finding = program.finding()
    assert finding.message == "6 parameters are cut off from the loss by `torch.no_grad()`"
    assert finding.help[1] == "to freeze them, say so: `for m in (net.fc1, net.fc2, net.fc3): m.requires_grad_(False)`"
    assert [place[:2] for place in places(finding)] == [("cause", 14), ("leak", 17)]
    assert finding.notes == ("they require grad and their values reach the loss, but `.grad` stays None",)


def one_cut(reason: CutReason, label: str) -> Program:
    """enc.weight -> the cut -> head -> loss."""
    program = Program()
    weight, head = program.weight("enc.weight"), program.weight("head.weight", live=True)
    cut = program.cut(reason, 28, label)
    program.loss(program.op("linear", program.op("cut", Via(program.op("linear", weight), cut), line=28), head))
    return program


def test_one_parameter_is_spoken_of_in_the_singular() -> None:
    finding = one_cut(CutReason.DETACH, ".detach()").finding()
    assert finding.message == "1 parameter is cut off from the loss by `.detach()`"
    assert finding.notes == ("it requires grad and its value reaches the loss, but `.grad` stays None",)
    assert finding.help == (
        "to train it, remove `.detach()` on line 28",
        "to freeze it, say so: `model.enc.requires_grad_(False)`",
    )
    assert places(finding) == [("cause", 28, "returns a tensor without grad_fn")]


@pytest.mark.parametrize(
    ("reason", "label", "cure"),
    [
        (CutReason.DATA, ".data", "use the tensor itself in place of its `.data` on line 28"),
        (CutReason.NUMPY, ".numpy()", "compute with torch in place of numpy: `.numpy()` on line 28 takes the values out of the graph"),
        (CutReason.HOST_SCALAR, ".item()", "keep the tensor: remove `.item()` on line 28, and call it only where a number is logged"),
        (
            CutReason.TENSOR_COPY,
            "torch.tensor(h)",
            "replace `torch.tensor(h)` on line 28: use the tensor itself, or `torch.stack` for a list of tensors",
        ),
        (
            CutReason.PARAMETER_REWRAP,
            "nn.Parameter(h)",
            "use the tensor itself in place of `nn.Parameter(h)` on line 28: `torch.nn.functional` takes it as a weight",
        ),
        (
            CutReason.INTEGER_CAST,
            ".long()",
            "keep floating point in place of `.long()` on line 28; to round in forward only, write `x + (x.round() - x).detach()`",
        ),
        (
            CutReason.NO_DERIVATIVE,
            "argmax",
            "take `softmax`, or `torch.nn.functional.gumbel_softmax(logits, hard=True)`, in place of `argmax` on line 28",
        ),
        (
            CutReason.NO_DERIVATIVE,
            ".argmax()",
            "take `softmax`, or `torch.nn.functional.gumbel_softmax(logits, hard=True)`, in place of `.argmax()` on line 28",
        ),
        (
            CutReason.NO_DERIVATIVE,
            ".sample()",
            "take `.rsample()` in place of `.sample()` on line 28; a discrete one has none: weigh the loss by `log_prob` of the sample",
        ),
        (
            CutReason.NO_DERIVATIVE,
            "gt",
            "take a smooth step such as `torch.sigmoid((a - b) / t)` in place of the comparison `gt` on line 28",
        ),
        (
            CutReason.NO_DERIVATIVE,
            ".topk()",
            "use the values that `.topk()` on line 28 returns, not its indices alone: weigh the chosen by their score",
        ),
        (
            CutReason.NO_DERIVATIVE,
            "searchsorted",
            "take a differentiable operation in place of `searchsorted` on line 28, or let a straight-through estimator pass the gradient",
        ),
        (
            CutReason.CUSTOM_FUNCTION,
            "Round",
            "let `Round` on line 28 return a differentiable output: call it by `.apply`, and do not mark its output non-differentiable",
        ),
        (CutReason.REENTRANT_CHECKPOINT, "checkpoint", "pass `use_reentrant=False` to the checkpoint on line 28"),
        (
            CutReason.OVERWRITE,
            ".copy_()",
            "write into a new tensor in place of `.copy_()` on line 28: `torch.where` or `torch.cat` keep the old values",
        ),
    ],
)
def test_each_reason_has_a_cure_of_its_own(reason: CutReason, label: str, cure: str) -> None:
    finding = one_cut(reason, label).finding()
    assert finding.reason == reason.value
    assert finding.message == f"1 parameter is cut off from the loss by `{label}`"
    assert finding.help[0] == f"to train it, {cure}"


def test_the_parameters_behind_one_line_are_one_finding_over_several_passes() -> None:
    program = Program()
    weight, bias = program.layer("enc")
    cut = program.cut()
    for _ in range(3):
        program.loss(program.op("detach", Via(program.op("linear", weight, bias), cut), line=28))
    assert program.finding().parameters == ("enc.weight", "enc.bias")


def test_two_cuts_that_do_not_lie_behind_each_other_are_two_findings() -> None:
    program = Program()
    first, second = program.weight("a.weight"), program.weight("b.weight")
    one = program.op("detach", Via(program.op("f", first), program.cut(line=28)), line=28)
    two = program.op("detach", Via(program.op("f", second), program.cut(line=29)), line=29)
    program.loss(one, two)
    assert [(finding.parameters, finding.cause.line) for finding in program.findings() if finding.cause] == [
        (("a.weight",), 28),
        (("b.weight",), 29),
    ]


def test_two_calls_on_one_line_are_two_causes() -> None:
    program = Program()
    cuts = [program.cut(column=column) for column in (9, 30)]
    weights = [program.weight("a.weight"), program.weight("b.weight")]
    program.loss(*(program.op("detach", Via(weight, cut), line=28) for weight, cut in zip(weights, cuts, strict=True)))
    assert len(program.findings()) == 2


def test_two_cuts_behind_each_other_are_one_finding_with_both_lines_the_one_near_the_loss_first() -> None:
    program = Program()
    weight = program.weight("enc.weight")
    region = program.region()
    inner = program.op("linear", Via(weight, region), line=15, region=region)
    program.loss(program.op("argmax", Via(inner, program.cut(CutReason.NO_DERIVATIVE, 40, "argmax")), line=40))
    finding = program.finding()
    assert finding.message == "1 parameter is cut off from the loss by `argmax` and `torch.no_grad()`"
    assert places(finding) == [
        ("cause", 40, "has no derivative"),
        ("cause", 14, "autograd records nothing in this block"),
        ("leak", 15, "leaves the block without a grad_fn"),
    ]
    assert finding.notes[-1] == "the 2 cuts stand one behind the other: each of them has to go"
    assert [text.partition(",")[0] for text in finding.help] == ["to train it", "to train it", "to freeze it"]


def test_parameters_that_go_around_the_cut_are_said_to_learn() -> None:
    program = Program()
    stem, side, head = program.weight("stem.weight", live=True), program.weight("side.weight"), program.weight("head.weight", live=True)
    base = program.op("linear", stem)
    branch = program.op("detach", Via(program.op("linear", base, side), program.cut()), line=28)
    program.loss(program.op("linear", program.op("add", base, Via(branch)), head))
    finding = program.finding()
    assert finding.parameters == ("side.weight",)
    assert finding.notes[-1] == "`stem` still learns: there is a way to the loss around the cut"


def test_what_no_optimizer_holds_is_left_out_of_an_error_and_counted_in_a_note() -> None:
    program = Program()
    backbone, adapter = program.weight("backbone.weight", held=False), program.weight("adapter.weight")
    program.loss(program.op("detach", Via(program.op("linear", backbone, adapter), program.cut()), line=28))
    finding = program.finding()
    assert (finding.severity, finding.parameters) == (Severity.ERROR, ("adapter.weight",))
    assert finding.notes[-1] == ("1 further parameter behind the cut left out: no optimizer holds it, while others are held")


def test_a_teacher_that_no_optimizer_holds_is_information_only() -> None:
    program = Program()
    teacher, student = program.weight("teacher.weight", held=False), program.weight("student.weight", live=True)
    region = program.region()
    target = program.op("linear", Via(teacher, region), line=15, region=region)
    program.loss(program.op("linear", student), Via(target))
    finding = program.finding()
    assert finding.severity is Severity.INFO
    assert finding.code == "GF901"
    assert finding.message.endswith("taken as meant: no optimizer holds it, while others are held")


def test_without_a_cut_in_the_trace_nobody_is_blamed() -> None:
    program = Program()
    program.loss(program.op("linear", program.weight("enc.weight")))
    finding = program.finding()
    assert finding.message == "1 parameter of the loss gets no gradient, and the trace shows no cut"
    assert finding.sites == ()
    assert finding.notes == ("trace incomplete: the verdict is autograd's, and the line that cuts was not seen",)


def test_a_cut_at_an_unknown_place_is_said_without_a_line() -> None:
    program = Program()
    weight = program.weight("enc.weight")
    cut = program.build.cut(CutReason.DETACH, None, ".detach()")
    program.loss(program.op("detach", Via(weight, cut)))
    finding = program.finding()
    assert [entry.role.value for entry in finding.sites] == ["leak"]
    assert finding.help[0] == "to train it, remove `.detach()`"


def test_a_live_parameter_behind_a_cut_is_no_finding() -> None:
    program = Program()
    weight = program.weight("enc.weight", live=True)
    hidden = program.op("linear", weight)
    program.loss(hidden, Via(program.op("detach", Via(hidden, program.cut()), line=28)))
    assert program.findings() == []


def test_a_frozen_parameter_behind_a_cut_is_no_finding() -> None:
    program = Program()
    weight = program.weight("enc.weight", requires_grad=False)
    program.loss(program.op("detach", Via(weight, program.cut()), line=28))
    assert program.verdicts() == {"enc.weight": Verdict.FROZEN}
    assert program.findings() == []


def test_the_cut_is_sought_on_the_way_to_the_loss_that_its_own_optimizer_steps_on() -> None:
    program = Program()
    generator = program.weight("generator.weight", optimizers=("opt_g",))
    judge = program.weight("judge.weight", live=True, optimizers=("opt_d",))
    meant = program.op("detach", Via(generator, program.cut(line=14)), line=14)
    fault = program.op("detach", Via(generator, program.cut(line=18)), line=18)
    of_judge = program.loss(program.op("linear", judge, meant), line=15)
    of_generator = program.loss(program.op("linear", judge, fault), line=19)
    program.optimizer("opt_d", losses=(of_judge,))
    program.optimizer("opt_g", losses=(of_generator,))
    assert [line for role, line, _ in places(program.finding()) if role == "cause"] == [18]
    program.optimizers = [replace(optimizer, losses=(of_judge,)) for optimizer in program.optimizers]
    assert [line for role, line, _ in places(program.finding()) if role == "cause"] == [14]
