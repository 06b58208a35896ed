"""What a report says of the parameters that were asked for, as plain JSON data, and back. Only converts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradflow.errors import UsageError
from gradflow.graph.flow import CutReason
from gradflow.graph.site import Site
from gradflow.json_fields import each_field, enum_field, field, list_field, optional_field
from gradflow.report import Focus, FocusCut, Neighbour, ParameterRow, Report
from gradflow.verdict import Verdict


def focus_form(report: Report) -> list[dict[str, Any]]:
    """One object for each parameter in focus. Facts that were not measured are null."""
    return [_focus_form(report.parameters[focus.parameter], focus) for focus in report.focus]


def _focus_form(row: ParameterRow, focus: Focus) -> dict[str, Any]:
    return {
        "parameter": row.name,
        "verdict": row.verdict.value,
        "why": focus.why,
        "live_in": list(row.live_in),
        "reaches_loss": focus.reaches_loss,
        "path": list(focus.path),
        "cuts": [_cut_form(cut) for cut in focus.cuts],
        "neighbours": [
            {"module": near.module, "before": near.before, "verdict": near.verdict.value, "grad_norm": near.grad_norm}
            for near in focus.neighbours
        ],
        "grad_norm": row.history[-1].grad_norm if row.history else row.grad_norm,
        "lr": row.history[-1].lr if row.history else None,
        "update_ratio": row.history[-1].update_ratio if row.history else None,
        "zero_share": focus.zero_share,
        "findings": list(focus.findings),
    }


def _cut_form(cut: FocusCut) -> dict[str, Any]:
    place = {} if cut.site is None else {"file": cut.site.file, "line": cut.site.line, "function": cut.site.function}
    return {"reason": cut.reason.value, "label": cut.label, "beside": cut.beside, **place}


def read_focus(document: Mapping[str, Any], where: str, rows: Sequence[ParameterRow]) -> tuple[Focus, ...]:
    """What `focus_form` wrote; the place of a cut comes back as file, line and function alone. Empty where the document has none.

    Raises:
        UsageError: naming the first place that is not as it should be.
    """
    numbers = {row.name: number for number, row in enumerate(rows)}
    return each_field(document, "focus", where, lambda item, place: _read(item, place, numbers)) if "focus" in document else ()


def _read(item: Mapping[str, Any], where: str, numbers: Mapping[str, int]) -> Focus:
    name = field(item, "parameter", str, where)
    if name not in numbers:
        raise UsageError(f"this is no gradflow/1 report: expected the name of a parameter at {where}parameter, found {name!r}")
    return Focus(
        parameter=numbers[name],
        why=field(item, "why", str, where),
        reaches_loss=field(item, "reaches_loss", bool, where),
        path=list_field(item, "path", str, where),
        cuts=each_field(item, "cuts", where, _read_cut),
        neighbours=each_field(item, "neighbours", where, _read_neighbour),
        zero_share=optional_field(item, "zero_share", float, where),
        findings=list_field(item, "findings", str, where),
    )


def _read_cut(item: Mapping[str, Any], where: str) -> FocusCut:
    file = optional_field(item, "file", str, where)
    site = None if file is None else Site(file, field(item, "line", int, where), function=field(item, "function", str, where))
    return FocusCut(
        enum_field(item, "reason", CutReason, where), field(item, "label", str, where), site, field(item, "beside", bool, where)
    )


def _read_neighbour(item: Mapping[str, Any], where: str) -> Neighbour:
    return Neighbour(
        field(item, "module", str, where),
        field(item, "before", bool, where),
        enum_field(item, "verdict", Verdict, where),
        optional_field(item, "grad_norm", float, where),
    )
