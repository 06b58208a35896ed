"""What the page's script works with: parameters in columns, modules, findings, and what each box of each picture stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradflow.render.markup import clean
from gradflow.render.palette import MEANING
from gradflow.report import ParameterRow
from gradflow.verdict import WORST_FIRST, Verdict
from gradflow.views.drawing import Card, Drawing, Excerpt
from gradflow.views.subject import Subject
from gradflow.views.words import shape_word

MOST_STEPS = 40
"""Steps of a parameter's history that the page shows: the last ones."""


def page_data(subject: Subject, views: Sequence[tuple[str, str, Drawing]]) -> dict[str, Any]:
    """Plain data for JSON; norms have three digits, and what is no finite number is null."""
    report = subject.report
    rows = report.parameters
    owners: dict[tuple[str, str], int] = {}
    number_of = {row.name: number for number, row in reversed(list(enumerate(rows)))}
    return {
        "verdicts": [[verdict.value, verdict.glyph, MEANING[verdict]] for verdict in Verdict],
        "parameters": {
            "name": [clean(row.name) for row in rows],
            "shape": [shape_word(row.shape) for row in rows],
            "elements": [row.elements for row in rows],
            "verdict": [list(Verdict).index(row.verdict) for row in rows],
            "grad": [_short(row.grad_norm) for row in rows],
            "weight": [_short(row.weight_norm) for row in rows],
            "live": [list(row.live_in) for row in rows],
            "owner": [owners.setdefault(_owner(row), len(owners)) for row in rows],
            "history": [[_short(step.grad_norm) for step in row.history[-MOST_STEPS:]] for row in rows],
            "because": {str(number): clean(row.because) for number, row in enumerate(rows) if row.because},
        },
        "order": [list(Verdict).index(verdict) for verdict in WORST_FIRST],
        "steps": max((len(row.history) for row in rows), default=0),
        "owners": [[clean(path), clean(kind)] for path, kind in owners],
        "kinds": {clean(path): clean(kind) for path, kind in subject.classes.items()},
        "alias": {clean(path): clean(first) for path, first in subject.tree.folded().items()},
        "findings": [[number_of[name] for name in finding.parameters if name in number_of] for finding in report.findings],
        "views": [
            {"label": clean(label), "module": clean(module), "boxes": _boxes(drawing), "arrows": bool(drawing.arrows)}
            for label, module, drawing in views
        ],
    }


def _owner(row: ParameterRow) -> tuple[str, str]:
    return (row.owner or row.name.rpartition(".")[0], row.owner_class)


def _short(value: float | None) -> float | None:
    return float(f"{value:.3g}") if value is not None and math.isfinite(value) else None


def _boxes(drawing: Drawing) -> dict[str, Any]:
    """By box number: the finding or the modules that a click on it is about."""
    found: dict[str, Any] = {}
    for number, box in enumerate(drawing.boxes):
        if isinstance(box.shape, Excerpt) and box.shape.findings:
            found[str(number)] = {"findings": list(box.shape.findings)}
        elif isinstance(box.shape, Card) and box.shape.modules and box.shape.modules != ("",):
            found[str(number)] = {"modules": [clean(path) for path in box.shape.modules]}
    return found
