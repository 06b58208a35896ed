"""The module view: what is opened, what is folded, where the cut stands, what the arrows say."""

from __future__ import annotations

from dataclasses import replace

import flow_examples as examples
import pytest

from gradflow.errors import UsageError
from gradflow.graph.flow import CutReason, FlowGraph
from gradflow.graph.recording import Target, TargetKind
from gradflow.report import Finding, FindingSite, Outcome, Report, Role, Severity
from gradflow.verdict import Verdict
from gradflow.views import draw_view
from gradflow.views.drawing import Arrow, Card, Direction, Drawing, Excerpt, Flow, Join, Pill


def word(drawing: Drawing, number: int) -> str:
    """What a box is called."""
    shape = drawing.boxes[number].shape
    if isinstance(shape, Card):
        return shape.title
    if isinstance(shape, Excerpt):
        return "cut"
    return shape.label if isinstance(shape, Pill) else getattr(shape, "sign", "grid")


def flows(drawing: Drawing) -> dict[tuple[str, str], Flow]:
    """The arrows by the words of their boxes."""
    return {(word(drawing, arrow.source), word(drawing, arrow.target)): arrow.flow for arrow in drawing.arrows if not arrow.tie}


def cards(drawing: Drawing) -> dict[str, Card]:
    """The cards by title."""
    return {box.shape.title: box.shape for box in drawing.boxes if isinstance(box.shape, Card)}


def excerpts(drawing: Drawing) -> list[Excerpt]:
    """The findings that stand on the way."""
    return [box.shape for box in drawing.boxes if isinstance(box.shape, Excerpt) and box.shape.on_path]


def test_the_cut_stands_between_the_region_and_what_still_learns() -> None:
    drawing = draw_view(examples.frozen_by_no_grad())
    assert flows(drawing) == {
        ("input", "lin0"): Flow.VALUE,
        ("lin0", "lin1"): Flow.DEAD,
        ("lin1", "cut"): Flow.DEAD,
        ("cut", "lin2"): Flow.DEAD,
        ("lin2", "mse_loss"): Flow.GRADIENT,
    }
    assert drawing.direction is Direction.RIGHT


def test_the_cut_shows_the_line_lit_between_its_neighbours() -> None:
    (cut,) = excerpts(draw_view(examples.frozen_by_no_grad()))
    assert cut.headline == "gradient stops here: torch.no_grad()"
    assert cut.place == "net.py:20, in Net.forward"
    assert [(line, lit) for line, _, lit in cut.lines] == [(19, False), (20, True), (21, False)]


def test_the_region_is_a_frame_round_what_runs_in_it() -> None:
    drawing = draw_view(examples.frozen_by_no_grad())
    (frame,) = drawing.frames
    assert frame.region and frame.label == "with torch.no_grad():"
    assert [word(drawing, number) for number, box in enumerate(drawing.boxes) if box.frame == 0] == ["lin1"]


def test_a_gpt_of_50_blocks_folds_its_equal_blocks_and_opens_the_cut_one() -> None:
    drawing = draw_view(examples.gpt(50))
    found = cards(drawing)
    assert {"h.0 - h.4", "h.6 - h.49", "ln_1", "attn", "ln_2 + mlp"} <= set(found)
    assert (found["h.0 - h.4"].times, found["h.6 - h.49"].times) == (5, 44)
    assert found["h.6 - h.49"].counts == ((Verdict.LIVE, 440),)
    assert [frame.label for frame in drawing.frames] == ["h.5"]
    assert len(drawing.boxes) <= 18


def test_the_skip_path_goes_round_the_cut_and_is_named() -> None:
    drawing = draw_view(examples.gpt(50))
    skips = [arrow for arrow in drawing.arrows if arrow.label == "skip"]
    assert [(word(drawing, arrow.source), word(drawing, arrow.target), arrow.flow) for arrow in skips] == [
        ("h.0 - h.4", "+", Flow.GRADIENT)
    ]
    assert flows(drawing)["h.0 - h.4", "ln_1"] is Flow.DEAD


def test_blocks_that_are_all_cut_alike_are_drawn_once() -> None:
    drawing = draw_view(examples.gpt(12, cut_in=range(12)))
    assert len(excerpts(drawing)) == 1
    assert [frame.label for frame in drawing.frames] == ["h.0 - h.11  ×12"]
    assert cards(drawing)["attn"].counts == ((Verdict.SEVERED, 48),)


def test_a_tied_head_is_a_card_that_names_what_it_shares() -> None:
    head = cards(draw_view(examples.gpt(2)))["lm_head"]
    assert (head.note, head.verdict, head.counts) == ("shares wte", Verdict.LIVE, ())


def test_a_layer_that_nobody_calls_is_drawn_without_arrows() -> None:
    drawing = draw_view(examples.gpt(2))
    assert cards(drawing)["aux_head"].verdict is Verdict.UNUSED
    assert not any("aux_head" in pair for pair in flows(drawing))


def test_time_steps_fold_into_one_cell_that_says_how_often_it_runs() -> None:
    drawing = draw_view(examples.recurrent(200))
    assert cards(drawing)["cell"].note == "runs 201×"
    assert cards(drawing)["gate"].note == "runs 200×"
    assert len(drawing.boxes) == 7
    assert flows(drawing)["+", "cell"] is Flow.GRADIENT


def test_a_frozen_layer_sends_values_only() -> None:
    assert flows(draw_view(examples.gpt(2)))["wpe", "+"] is Flow.VALUE


def test_functional_code_is_grouped_by_line() -> None:
    program = examples.Program()
    for name in ("w1", "b1", "w2"):
        program.parameter(name, owner="")
    x = program.call("matmul", "", [], 6, uses=("w1",))
    x = program.call("add", "", [x], 6, uses=("b1",))
    program.loss([program.call("matmul", "", [x], 8, uses=("w2",))])
    found = cards(draw_view(program.report()))
    assert {title: [row.name for row in card.rows] for title, card in found.items()} == {
        "x = call_6(x)": ["w1", "b1"],
        "x = call_8(x)": ["w2"],
    }


def test_several_losses_are_told_apart_by_line() -> None:
    program = examples.Program()
    program.layer("net")
    for line in (51, 54):
        program.loss([program.linear("net", [])], line, "bce")
    pills = [box.shape for box in draw_view(program.report()).boxes if isinstance(box.shape, Pill) and box.shape.strong]
    assert [(pill.label, pill.detail) for pill in pills] == [("bce", "line 51"), ("bce", "line 54")]


def test_an_intended_stop_gradient_is_drawn_as_no_fault() -> None:
    program = examples.Program()
    program.layer("teacher", Verdict.SEVERED)
    program.layer("student")
    cut = program.cut(CutReason.DETACH, 30, ".detach()")
    program.findings[0] = replace(program.findings[0], code="GF901", name="intended-stop-gradient", severity=Severity.INFO)
    target = program.call("detach", "", [program.linear("teacher", [])], 30, cut=cut)
    program.loss([program.linear("student", []), target])
    (excerpt,) = excerpts(draw_view(program.report()))
    assert excerpt.intended and excerpt.headline == "stop-gradient, as intended: .detach()"


def test_a_finding_at_no_operation_is_tied_to_its_module() -> None:
    program = examples.Program()
    program.layer("hidden[0]")
    program.loss([program.linear("hidden[0]", [])])
    program.find("GF103", "unregistered-parameter", "`hidden` is not registered", ["hidden[0].weight"], program.site(15))
    drawing = draw_view(program.report())
    (tie,) = [arrow for arrow in drawing.arrows if arrow.tie]
    assert (word(drawing, tie.source), word(drawing, tie.target)) == ("cut", "hidden[0]")


@pytest.mark.parametrize("count", [3, 150, 700])
def test_no_drawing_has_more_than_200_boxes(count: int) -> None:
    assert len(draw_view(examples.wide(count)).boxes) <= 200


def test_the_depth_opens_every_module_down_to_it() -> None:
    assert {"h.0 - h.4", "h.5"} <= set(cards(draw_view(examples.gpt(50), depth=2)))
    assert "h" in cards(draw_view(examples.gpt(50), depth=1))


def test_a_module_is_drawn_with_its_neighbours_as_names() -> None:
    drawing = draw_view(examples.gpt(50), "module:h.5")
    outside = [box.shape.label for box in drawing.boxes if isinstance(box.shape, Pill) and not box.shape.strong]
    assert outside == ["h.0 - h.4", "h.6 - h.49"]
    assert {"ln_1", "attn", "ln_2", "mlp"} == set(cards(drawing))


def test_a_module_out_of_a_folded_run_is_drawn_as_the_run() -> None:
    assert draw_view(examples.gpt(50), "module:h.30").boxes == draw_view(examples.gpt(50), "module:h.6").boxes


@pytest.mark.parametrize("view", ["module:nowhere", "module:", "nonsense", ""])
def test_a_view_that_does_not_exist_is_wrong_usage(view: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        draw_view(examples.gpt(2), view)


@pytest.mark.parametrize("view", ["modules", "operations", "autograd", "heatmap"])
def test_a_report_without_parameters_or_flow_can_be_drawn(view: str) -> None:
    empty = Report(Outcome.NOTHING, Target(TargetKind.SCRIPT, "", ""))
    assert draw_view(empty, view).arrows == ()
    without = replace(examples.gpt(3), flow=FlowGraph())
    assert draw_view(without, view).check()


def test_every_arrow_is_drawn_once() -> None:
    drawing = draw_view(examples.gpt(50))
    pairs = [(arrow.source, arrow.target) for arrow in drawing.arrows]
    assert len(pairs) == len(set(pairs)) and all(isinstance(arrow, Arrow) for arrow in drawing.arrows)


def test_the_description_names_what_the_picture_shows() -> None:
    words = draw_view(examples.frozen_by_no_grad()).description
    assert words.startswith("input; lin0: 2 severed; lin1: 2 severed; gradient stops here: torch.no_grad()")


def test_a_join_says_what_its_inputs_bring() -> None:
    joins = [box.shape for box in draw_view(examples.gpt(50)).boxes if isinstance(box.shape, Join)]
    assert {(join.sign, join.flow) for join in joins} == {("+", Flow.GRADIENT)}


def test_a_gradient_that_comes_back_as_zero_has_an_arrow_of_its_own() -> None:
    program = examples.Program()
    program.layer("dead", Verdict.ZERO)
    program.layer("head")
    x = program.call("relu", "", [program.linear("dead", [])], 30)
    site = program.site(30)
    program.find("GF201", "zero-gradient", "the gradient is zero", ["dead.weight", "dead.bias"], site)
    program.loss([program.linear("head", [x], 31)])
    drawing = draw_view(program.report())
    assert flows(drawing)["dead", "cut"] is Flow.ZERO
    assert flows(drawing)["cut", "head"] is Flow.GRADIENT
    assert excerpts(drawing)[0].headline.startswith("the gradient becomes zero here")


def test_a_layer_with_parameters_and_modules_inside_stays_closed() -> None:
    program = examples.Program()
    program.parameter("attention.in_proj_weight", kind="MultiheadAttention")
    program.layer("attention.out_proj")
    program.layer("head")
    x = program.call("attend", "attention", [], uses=("attention.in_proj_weight", "attention.out_proj.weight", "attention.out_proj.bias"))
    program.loss([program.linear("head", [x])])
    assert list(cards(draw_view(program.report()))) == ["attention", "head"]


def test_a_line_that_only_writes_parameters_is_not_drawn() -> None:
    program = examples.Program()
    program.layer("slow", Verdict.FROZEN)
    program.layer("fast")
    copied = program.call("deepcopy", "", [], 3, uses=("fast.weight",))
    program.builder.edge(
        copied, program.builder.node(examples.Node(examples.NodeKind.PARAMETER, "slow.weight", parameter=0)), examples.EdgeKind.INERT
    )
    program.parameters["slow.weight"] = len(program.builder.nodes) - 1
    program.loss([program.linear("fast", [program.linear("slow", [])])])
    drawing = draw_view(program.report())
    assert list(cards(drawing)) == ["slow", "fast"]
    assert flows(drawing)["slow", "fast"] is Flow.VALUE


def test_an_escaped_parameter_ends_where_its_value_leaves_torch() -> None:
    program = examples.Program()
    program.layer("temperature", Verdict.ESCAPED)
    program.layer("head")
    site = program.site(40)
    program.find("GF107", "escaped-parameter", "its value leaves torch", ["temperature.weight"], site, Severity.WARNING)
    cut = program.builder.cut(CutReason.HOST_SCALAR, site, ".item()")
    value = program.linear("temperature", [])
    host = program.builder.node(examples.Node(examples.NodeKind.HOST, "item()", "", program.builder.site(site)))
    program.builder.edge(value, host, examples.EdgeKind.CUT, cut)
    program.loss([program.linear("head", [])])
    drawing = draw_view(program.report())
    assert flows(drawing)["temperature", "cut"] is Flow.DEAD
    assert not any(pair[0] == "cut" for pair in flows(drawing))


def test_a_live_norm_shares_the_card_of_the_layer_after_it() -> None:
    found = cards(draw_view(examples.gpt(8)))["ln_2 + mlp"]
    assert (found.kind, found.counts, found.times) == ("LayerNorm, Linear", ((Verdict.LIVE, 4),), 1)
    assert found.modules == ("h.5.ln_2", "h.5.mlp")


def test_a_norm_that_is_cut_off_keeps_its_own_card() -> None:
    assert {"ln_1", "attn"} <= set(cards(draw_view(examples.gpt(8))))


def test_a_tied_layer_shares_its_card_with_no_norm() -> None:
    assert {"ln_f", "lm_head"} <= set(cards(draw_view(examples.gpt(8))))


def test_a_container_whose_parts_are_called_from_outside_has_no_frame() -> None:
    program = examples.Program()
    for name in ("body.a", "body.b", "body.c.x", "body.c.y", "head"):
        program.layer(name)
    x = program.linear("body.a", [], 3)
    y = program.linear("body.b", [], 4)
    both = program.call("add", "", [x, y], 5)
    x = program.linear("body.c.y", [program.linear("body.c.x", [both], 6)], 7)
    program.loss([program.linear("head", [x], 8)])
    drawing = draw_view(program.report(), "modules", depth=3)
    assert [frame.label for frame in drawing.frames] == ["body.c"]
    assert {"body.a", "body.b", "x", "y"} <= set(cards(drawing))


def test_findings_of_one_kind_on_one_line_are_one_card_tied_to_each_box() -> None:
    program = examples.Program()
    for number in range(3):
        program.parameter(f"experts.{number}.weight", Verdict.UNUSED, shape=(number + 1, 2))
    program.layer("head")
    program.loss([program.linear("head", [], 9)])
    report = program.report()
    site = program.site(4, "    self.experts = make()")
    findings = tuple(
        Finding("GF102", "unused-parameter", Severity.ERROR, "unused", (row.name,), (FindingSite(Role.CAUSE, site),))
        for row in report.parameters[:3]
    )
    drawing = draw_view(replace(report, findings=findings))
    (found,) = (box.shape for box in drawing.boxes if isinstance(box.shape, Excerpt))
    assert found.headline == "GF102 unused parameter ×3" and found.findings == (0, 1, 2)
    assert sum(arrow.tie for arrow in drawing.arrows) == 3
