"""torchviz's drawing of the backward graph: made where the tensors live, kept as DOT text, with our marks beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import flow_examples as examples
import pytest
import torch
from torch import nn

from gradflow.api import build_report
from gradflow.capture.model import audit_model
from gradflow.draw import draw
from gradflow.graph.flow import BackwardDrawing
from gradflow.graph.recording import Target, TargetKind
from gradflow.render.dot import to_dot
from gradflow.report import Report
from gradflow.verdict import Verdict
from gradflow.views import draw_view
from gradflow.views.drawing import Card, Drawing, Excerpt, Flow, Foreign, Tone


class Net(nn.Module):
    """lin1 runs without gradients; nobody calls `spare`."""

    def __init__(self) -> None:
        super().__init__()
        self.lin0, self.lin1, self.lin2, self.spare = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2), nn.Linear(2, 2)
        self.lin2.bias.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.lin0(x)
        with torch.no_grad():
            x = self.lin1(x)
        return self.lin2(x)


class Chain(nn.Module):
    """One weight, and `length` operations after it."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.length = length

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.weight
        for _ in range(self.length):
            x = x.sin()
        return x


class Doubled(torch.autograd.Function):
    """Keeps its input, as most custom functions do."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0] * 2


class Custom(nn.Module):
    """A custom function that keeps its input, under hooks that count how often it is unpacked."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.unpacked = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def unpack(packed: torch.Tensor) -> torch.Tensor:
            self.unpacked += 1
            return packed

        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
            return Doubled.apply(x * self.weight)


def audited(model: nn.Module, size: int, *, draws: bool = True) -> Report:
    """The report on one call with an input of `size` numbers a row."""
    target = Target(TargetKind.API, "", "test")
    return build_report(audit_model(model, (torch.ones(3, size),), target=target, draws=draws))


def drawn(report: Report) -> tuple[Drawing, Foreign]:
    """The view, and torchviz's part in it."""
    drawing = draw_view(report, "autograd")
    assert drawing.foreign is not None
    return drawing, drawing.foreign


def test_the_parameters_in_the_drawing_are_those_that_got_a_gradient() -> None:
    report = audited(Net(), 4)
    named = {node.label.split("\n")[0] for node in drawn(report)[1].nodes if node.verdict is not None}
    assert named == {row.name for row in report.parameters if row.grad_norm is not None} == {"lin2.weight"}


def test_dead_frozen_and_unused_parameters_stand_beside_the_drawing() -> None:
    drawing, foreign = drawn(audited(Net(), 4))
    cards = {box.shape.title: box.shape.verdict for box in drawing.boxes if isinstance(box.shape, Card)}
    assert cards == {"lin0": Verdict.SEVERED, "lin1": Verdict.SEVERED, "lin2": Verdict.FROZEN, "spare": Verdict.UNUSED}
    assert {flow for _, _, flow in foreign.links} == {Flow.DEAD, Flow.VALUE}


def test_the_dead_end_at_the_cut_and_the_cut_at_the_node_that_takes_its_value() -> None:
    drawing, foreign = drawn(audited(Net(), 4))
    (gate,) = (number for number, box in enumerate(drawing.boxes) if isinstance(box.shape, Excerpt))
    titles = {shape.title for arrow in drawing.arrows if isinstance(shape := drawing.boxes[arrow.source].shape, Card)}
    assert titles == {"lin0", "lin1"} and {arrow.target for arrow in drawing.arrows} == {gate}
    labels = {node.name: node.label for node in foreign.nodes}
    assert {labels[name] for box, name, _ in foreign.links if box == gate} == {"AddmmBackward0"}


def test_it_is_the_same_text_in_every_run() -> None:
    assert audited(Net(), 4).flow.backward == audited(Net(), 4).flow.backward


def test_nothing_is_drawn_where_no_one_asks() -> None:
    assert audited(Net(), 4, draws=False).flow.backward == BackwardDrawing()


def test_it_comes_back_from_the_document_as_dot_text() -> None:
    report = audited(Net(), 4)
    again = Report.from_json(report.to_json(graph=True))
    assert again.flow.backward == report.flow.backward and draw_view(again, "autograd") == draw_view(report, "autograd")
    text = json.loads(report.to_json(graph=True))["graph"]["graph"]["flow"]["backward"]["dot"]
    assert draw(f"digraph {{\n{text}\n}}", "svg").startswith(b"<?xml")


@pytest.mark.parametrize("length", [795, 5000])
def test_a_graph_too_long_for_torchviz_is_drawn_by_a_loop(length: int) -> None:
    report = audited(Chain(length), 2)
    drawing = draw_view(report, "autograd")
    assert drawing.foreign is None or len(drawing.foreign.nodes) > length
    assert draw_view(audited(Chain(5), 2), "autograd").foreign is not None


def test_what_a_custom_function_keeps_is_not_unpacked_for_a_drawing() -> None:
    model = Custom()
    audited(model, 2, draws=False)
    plainly, model.unpacked = model.unpacked, 0
    report = audited(model, 2)
    assert model.unpacked == plainly and report.flow.backward == BackwardDrawing()
    assert "DoubledBackward" in to_dot(draw_view(report, "autograd"))


def test_a_statement_that_torchviz_would_not_write_is_left_out() -> None:
    statements = (
        'p0 [label="a\\"]; x [shape=circle\\n (2)" fillcolor=lightblue]',
        'n1 [label=SumBackward0 image="/etc/passwd"]',
        'n2 [label="<b>&lt;</b>\\n (1)"]',
        "p0 -> n2",
        "n2 -> n1",
        "p99 [label=Far]",
    )
    report = examples.frozen_by_no_grad()
    flow = replace(report.flow, backward=BackwardDrawing(statements, (-1, 0, 1)))
    drawing, foreign = drawn(replace(report, flow=flow))
    assert [node.name for node in foreign.nodes] == ["p0", "n2", "p99"] and foreign.arrows == (("p0", "n2", ""),)
    assert foreign.nodes[0].label == 'a"]; x [shape=circle\n (2)'
    svg = draw(to_dot(drawing), "svg").decode()
    assert "passwd" not in svg and "a&quot;]; x [shape=circle" in svg and "&lt;b&gt;&amp;lt;&lt;/b&gt;" in svg


def test_the_loss_is_told_from_other_tensors() -> None:
    tones = [node.tone for node in drawn(audited(Net(), 4))[1].nodes]
    assert tones.count(Tone.LOSS) == 1


def test_many_dead_modules_are_taken_together_by_the_module_around() -> None:
    program = examples.Program()
    for number in range(30):
        program.layer(f"enc.{number}.a", Verdict.UNUSED)
    program.layer("head")
    program.loss([program.linear("head", [], 3)])
    report = program.report()
    flow = replace(report.flow, backward=BackwardDrawing(('n0 [label="MmBackward0"]',), (len(report.flow.nodes) - 1,)))
    drawing, _ = drawn(replace(report, flow=flow))
    assert [(box.shape.title, box.shape.counts) for box in drawing.boxes if isinstance(box.shape, Card)] == [
        ("enc", ((Verdict.UNUSED, 60),))
    ]


@pytest.mark.parametrize(("length", "drawn_by_torchviz"), [(50, True), (300, False)])
def test_a_drawing_of_long_arrows_is_left_to_the_loop(length: int, drawn_by_torchviz: bool) -> None:
    report = examples.frozen_by_no_grad()
    statements = [f"n{number} [label=MulBackward0]" for number in range(length)]
    statements += [f"n{number + 1} -> n{number}" for number in range(length - 1)]
    statements += ['p4 [label="w\\n (1)"]', *(f"p4 -> n{number}" for number in range(length))]
    flow = replace(report.flow, backward=BackwardDrawing(tuple(statements), (-1,) * length))
    assert (draw_view(replace(report, flow=flow), "autograd").foreign is not None) is drawn_by_torchviz
