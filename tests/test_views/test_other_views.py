"""Operations, the backward graph, norms over steps."""

from __future__ import annotations

from dataclasses import replace

import flow_examples as examples
import pytest

from gradflow.errors import UsageError
from gradflow.report import StepRow
from gradflow.verdict import Verdict
from gradflow.views import draw_view
from gradflow.views.drawing import Card, Excerpt, Flow, Grid, Join, Pill
from gradflow.views.heatmap import MOST_ROWS


def test_operations_shows_each_call_inside_its_module() -> None:
    drawing = draw_view(examples.gpt(3, cut_in=(1,)), "operations")
    signs = {box.shape.sign for box in drawing.boxes if isinstance(box.shape, Join)}
    assert {"+", "softmax", "flatten"} <= signs
    assert len(drawing.boxes) <= 200


def test_operations_closes_modules_when_there_are_too_many_calls() -> None:
    assert len(draw_view(examples.wide(300), "operations").boxes) <= 200


def test_the_backward_graph_names_nodes_as_autograd_does() -> None:
    drawing = draw_view(examples.frozen_by_no_grad(), "autograd")
    live = {box.shape.sign for box in drawing.boxes if isinstance(box.shape, Join) and box.shape.flow is Flow.GRADIENT}
    assert live == {"LinearBackward0"}
    assert [box.shape.label for box in drawing.boxes if isinstance(box.shape, Pill)] == ["Mse_LossBackward0"]


def test_the_backward_graph_has_the_dead_parameters_and_the_cut() -> None:
    drawing = draw_view(examples.frozen_by_no_grad(), "autograd")
    dead = {box.shape.title for box in drawing.boxes if isinstance(box.shape, Card) and box.shape.verdict is Verdict.SEVERED}
    assert dead == {"lin0.weight", "lin0.bias", "lin1.weight", "lin1.bias"}
    assert sum(isinstance(box.shape, Excerpt) for box in drawing.boxes) == 1


def test_a_long_backward_graph_is_folded_by_line() -> None:
    drawing = draw_view(examples.recurrent(400), "autograd")
    assert len(drawing.boxes) < 20 and "those of a line as one" in drawing.subtitle


def test_a_backward_graph_that_cannot_be_folded_is_refused_with_a_way_out() -> None:
    with pytest.raises(UsageError, match="too many to draw; `--view operations` or `module:NAME`"):
        draw_view(examples.wide(300), "autograd")


def grid_of(histories: dict[str, list[float | None]]) -> Grid:
    """The heat map of layers with these norms by step."""
    program = examples.Program()
    for name in histories:
        program.parameter(f"{name}.weight")
    report = program.report()
    rows = tuple(
        replace(row, history=tuple(StepRow(step, row.verdict, norm) for step, norm in enumerate(norms, start=1)))
        for row, norms in zip(report.parameters, histories.values(), strict=True)
    )
    (box,) = draw_view(replace(report, parameters=rows), "heatmap").boxes
    assert isinstance(box.shape, Grid)
    return box.shape


def test_a_step_without_a_gradient_has_no_level() -> None:
    grid = grid_of({"a": [0.1, 0.1, 0.1], "b": [0.1, None, 0.0]})
    assert [cells for _, _, cells in grid.rows] == [(7, 7, 7), (7, None, 0)]


def test_the_scale_ends_eight_decades_below_the_greatest_norm() -> None:
    grid = grid_of({"a": [1e-30, 10.0]})
    assert (grid.low, grid.high) == (-7, 1)
    assert grid.rows[0][2] == (0, 7)


def test_many_steps_share_columns_and_a_missing_gradient_shows_through() -> None:
    norms: list[float | None] = [1.0] * 200
    norms[150] = None
    grid = grid_of({"a": norms})
    assert len(grid.steps) <= 60 and grid.rows[0][2].count(None) == 1


def test_many_layers_are_taken_together_by_the_module_around() -> None:
    rows = draw_view(examples.gpt(50), "heatmap").boxes[0].shape
    assert isinstance(rows, Grid)
    assert len(rows.rows) <= MOST_ROWS and "h.7" in {name for name, _, _ in rows.rows}
