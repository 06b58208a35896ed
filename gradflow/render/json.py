"""The JSON document of schema `gradflow/1`, for programs and agents."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.document import reports_to_json, to_json
from gradflow.report import Report


def render_json(report: Report, *, graph: bool = False) -> str:
    """The report as one JSON document; the flow graph, in node-link form, is in it if asked."""
    return to_json(report, graph=graph)


def render_json_many(reports: Sequence[Report], *, graph: bool = False) -> str:
    """The reports as one JSON document, under `reports`."""
    return reports_to_json(reports, graph=graph)
