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
    [(0.6, 20, 2), (1.5, 20, 2), (1.0, 100, 2), (0.1, 7, 2), (0.1, 20, 1)],
)
def test_sound_or_short_or_hardly_seen_networks_are_silent(factor: float, layers: int, count: int) -> None:
    assert chain(factor, layers, count).findings() == []


def test_tables_are_not_measured() -> None:
    assert chain(0.1, owner_class="Embedding").findings() == []
