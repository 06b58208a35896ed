"""GF203 vanishing-gradient and GF204 exploding-gradient, from the sizes over depth."""

from __future__ import annotations

import pytest
from hand_built import Program, places, steps

from gradflow.report import Severity


def chain(factor: float, layers: int = 20, count: int = 2, owner_class: str = "Linear") -> Program:
    """Layers of equal shape, called in order; the gradient of each is `factor` times that of the next."""
    program = Program()
    node = program.op("input")
    for number in range(layers):
        size = factor ** (layers - 1 - number)
        weight = program.weight(f"body.{number}.weight", owner_class=owner_class, **steps(*[size] * count))
        node = program.op("linear", node, weight, line=200 + number)
    program.loss(node)
    return program


def test_a_gradient_that_falls_with_depth_is_a_warning_at_the_first_layer() -> None:
    finding = chain(0.3).finding()
    assert (finding.code, finding.severity) == ("GF203", Severity.WARNING)
    assert finding.message.startswith("the gradient vanishes with depth: `body.0.weight` gets 4e-10 of what")
    assert finding.parameters[0] == "body.0.weight" and "body.19.weight" not in finding.parameters
    assert places(finding)[0][1] == 100


def test_a_gradient_that_grows_with_depth_is_a_warning() -> None:
    finding = chain(3.0).finding()
    assert (finding.code, finding.severity) == ("GF204", Severity.WARNING)
    assert "body.0.weight" in finding.parameters and "body.19.weight" not in finding.parameters


@pytest.mark.parametrize(
    ("factor", "layers", "count"),
    [(0.6, 20, 2), (1.5, 20, 2), (1.0, 100, 2), (0.1, 7, 2), (0.1, 20, 1), (1.1, 100, 2)],
)
def test_sound_or_short_or_hardly_seen_networks_are_silent(factor: float, layers: int, count: int) -> None:
    assert chain(factor, layers, count).findings() == []


def test_tables_are_not_measured() -> None:
    assert chain(0.1, owner_class="Embedding").findings() == []


def ends(first: float, last: float, layers: int = 20) -> Program:
    """Layers whose gradient goes from `first` to `last` in equal ratios, as in a network that was measured."""
    return chain((first / last) ** (1 / (layers - 1)), layers)


@pytest.mark.parametrize(
    ("ratio", "layers", "code"),
    [
        (5e-5, 17, ""),  # an LSTM of 8 layers over 200 steps
        (2.4e-4, 19, ""),  # VGG-19 with Kaiming's initialisation
        (4e2, 105, ""),  # ResNet-101
        (1.4e4, 101, ""),  # tanh, 100 layers, Xavier's initialisation with a gain of 5/3
        (4.5e-6, 17, "GF203"),  # ReLU, 16 layers, torch's own initialisation
        (3.6e-6, 9, "GF203"),  # sigmoid, 8 layers, Xavier's initialisation
        (2.6e-17, 21, "GF203"),  # sigmoid, 20 layers
        (1e8, 30, "GF204"),
    ],
)
def test_the_line_lies_between_what_was_measured_on_sound_and_on_vanishing_networks(ratio: float, layers: int, code: str) -> None:
    # The medians of one layer in ten lie a little inside the ends.
    inside = ratio ** ((layers - 1) / (layers - 1 - (max(1, layers // 10) - 1)))
    assert ends(inside, 1.0, layers).loud() == ([code] if code else [])
