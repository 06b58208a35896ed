"""The report as a JSON document of schema `gradflow/1`, and back. Reads and writes text only: no files, no torch.

Every top-level key is always there. Fields may be added in later versions, never changed, so a reader passes over those that it does not
know. JSON has no NaN and no infinity: such a norm is written as null, and the verdict `nonfinite` says what it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradflow.document.flow_form import flow_form, read_flow
from gradflow.document.focus_form import focus_form, read_focus
from gradflow.errors import UsageError
from gradflow.graph.flow import FlowGraph
from gradflow.graph.site import Site
from gradflow.graph.target import Target, TargetKind
from gradflow.json_fields import as_kind, each_field, enum_field, field, list_field, optional_field
from gradflow.report import Evidence, Finding, FindingSite, Outcome, ParameterRow, Report, Role, Severity, StepRow
from gradflow.verdict import Verdict

SCHEMA = "gradflow/1"

Document = dict[str, Any]


def to_json(report: Report, *, graph: bool = False) -> str:
    """The report as one JSON document, ASCII, ended by a line feed; the flow graph (node-link form) is in it if asked."""
    return _dump(to_document(report, graph=graph))


def from_json(text: str) -> Report:
    """The report that `to_json` wrote. Its flow graph is empty unless the document holds one.

    Raises:
        UsageError: naming the first place that is not as schema gradflow/1 has it.
    """
    document = _load(text)
    if "reports" in document:
        raise UsageError("expected one report, found a document that holds a list of reports: read it with reports_from_json")
    return from_document(document)


def reports_to_json(reports: Sequence[Report], *, graph: bool = False) -> str:
    """Several reports, of several targets, as one JSON document."""
    return _dump({"schema": SCHEMA, "reports": [to_document(report, graph=graph) for report in reports]})


def read_json(text: str) -> Report | tuple[Report, ...]:
    """The report of a document, or the reports of one that holds a list. Raises UsageError as `from_json` does."""
    document = _load(text)
    if "reports" not in document:
        return from_document(document)
    _check_schema(document)
    return each_field(document, "reports", "", from_document)


def reports_from_json(text: str) -> tuple[Report, ...]:
    """The reports of a document that holds one or several. Raises UsageError as `from_json` does."""
    found = read_json(text)
    return found if isinstance(found, tuple) else (found,)


def to_document(report: Report, *, graph: bool = False) -> Document:
    """The report as plain dicts, lists, strings, numbers and None, in the order of the schema."""
    document: Document = {
        "schema": SCHEMA,
        "outcome": report.outcome.value,
        "target": {"kind": report.target.kind.value, "file": report.target.file, "reproduce": report.target.reproduce},
        "steps": {"backward": report.backward_passes, "optimizer": report.optimizer_steps},
        "parameters": [_parameter_form(row) for row in report.parameters],
        "findings": [_finding_form(finding) for finding in report.findings],
        "message": report.message,
        "notes": list(report.notes),
        "crash": report.crash,
        "suppressed": [_finding_form(finding) for finding in report.suppressed],
        "known": [_finding_form(finding) for finding in report.known],
    }
    if report.focus:
        document["focus"] = focus_form(report)
    if graph:
        document["graph"] = _node_link(report)
    return document


def from_document(document: Mapping[str, Any], where: str = "") -> Report:
    """The report of one document that is plain data already; `where` stands before the places named in errors."""
    _check_schema(document)
    target, steps = field(document, "target", dict, where), field(document, "steps", dict, where)
    parameters = each_field(document, "parameters", where, _read_parameter)
    return Report(
        outcome=enum_field(document, "outcome", Outcome, where),
        target=Target(
            enum_field(target, "kind", TargetKind, f"{where}target."),
            field(target, "file", str, f"{where}target."),
            field(target, "reproduce", str, f"{where}target."),
        ),
        parameters=parameters,
        findings=each_field(document, "findings", where, _read_finding),
        backward_passes=field(steps, "backward", int, f"{where}steps."),
        optimizer_steps=field(steps, "optimizer", int, f"{where}steps."),
        notes=list_field(document, "notes", str, where, absent=True),
        message=field(document, "message", str, where, default=""),
        crash=field(document, "crash", str, where, default=""),
        suppressed=_read_findings(document, "suppressed", where),
        known=_read_findings(document, "known", where),
        focus=read_focus(document, where, parameters),
        flow=_read_graph(document, where, len(parameters)),
    )


def _dump(document: Document) -> str:
    # ASCII, so that a terminal or pipe of any encoding can carry it, lone surrogates of odd file names included.
    return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _parameter_form(row: ParameterRow) -> Document:
    return {
        "name": row.name,
        "root": row.root,
        "shape": list(row.shape),
        "elements": row.elements,
        "dtype": row.dtype,
        "requires_grad": row.requires_grad,
        "verdict": row.verdict.value,
        "live_in": list(row.live_in),
        "grad_norm": _number(row.grad_norm),
        "optimizers": list(row.optimizers),
        "moved": row.moved,
        "weight_norm": _number(row.weight_norm),
        "owner": row.owner,
        "owner_class": row.owner_class,
        "because": row.because,
        "history": [
            {
                "step": step.step,
                "verdict": step.verdict.value,
                "grad_norm": _number(step.grad_norm),
                "update_ratio": _number(step.update_ratio),
                "lr": _number(step.lr),
            }
            for step in row.history
        ],
    }


def _finding_form(finding: Finding) -> Document:
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "reason": finding.reason,
        "message": finding.message,
        "parameters": list(finding.parameters),
        "evidence": finding.evidence.value,
        "verified": finding.verified,
        "sites": [_site_form(entry) for entry in finding.sites],
        "help": list(finding.help),
        "notes": list(finding.notes),
        "fingerprint": finding.fingerprint,
    }


def _site_form(entry: FindingSite) -> Document:
    site = entry.site
    return {
        "role": entry.role.value,
        "file": site.file,
        "line": site.line,
        "column": site.column,
        "end_line": site.end_line,
        "end_column": site.end_column,
        "function": site.function,
        "module": site.module,
        "source": site.source,
        "note": entry.note,
        "context": [[line, text] for line, text in site.context],
    }


def _node_link(report: Report) -> Document:
    """The flow graph in networkx's node-link form: `networkx.node_link_graph(document["graph"], edges="edges")` reads it.

    Built by hand, since the keyword `edges` came with networkx 3.4 and the default name of that list changes between versions. The graph's
    attribute `flow` holds the flow graph itself, from which `from_json` rebuilds it.
    """
    graph = report.graph
    return {
        "directed": True,
        "multigraph": False,
        "graph": {"flow": flow_form(report.flow)},
        "nodes": [{**attributes, "id": node} for node, attributes in graph.nodes(data=True)],
        "edges": [{**attributes, "source": source, "target": target} for source, target, attributes in graph.edges(data=True)],
    }


def _read_graph(document: Mapping[str, Any], where: str, parameters: int) -> FlowGraph:
    if "graph" not in document:
        return FlowGraph()
    attributes = field(field(document, "graph", dict, where), "graph", dict, f"{where}graph.")
    flow = read_flow(field(attributes, "flow", dict, f"{where}graph.graph."), f"{where}graph.graph.flow.")
    highest = max((node.parameter for node in flow.nodes), default=-1)
    if highest >= parameters:
        raise UsageError(f"this is no gradflow/1 report: the graph names parameter {highest}, found {parameters} parameters")
    return flow


def _read_parameter(item: Mapping[str, Any], where: str) -> ParameterRow:
    live_in = list_field(item, "live_in", int, where)
    if len(live_in) != 2:
        raise UsageError(f"this is no gradflow/1 report: expected two integers at {where}live_in, found {len(live_in)}")
    return ParameterRow(
        name=field(item, "name", str, where),
        root=field(item, "root", str, where),
        shape=list_field(item, "shape", int, where),
        elements=field(item, "elements", int, where),
        dtype=field(item, "dtype", str, where),
        requires_grad=field(item, "requires_grad", bool, where),
        verdict=enum_field(item, "verdict", Verdict, where),
        live_in=(live_in[0], live_in[1]),
        grad_norm=optional_field(item, "grad_norm", float, where),
        optimizers=list_field(item, "optimizers", str, where),
        moved=optional_field(item, "moved", bool, where),
        weight_norm=optional_field(item, "weight_norm", float, where),
        owner=field(item, "owner", str, where, default=""),
        owner_class=field(item, "owner_class", str, where, default=""),
        because=field(item, "because", str, where, default=""),
        history=each_field(item, "history", where, _read_step),
    )


def _read_step(item: Mapping[str, Any], where: str) -> StepRow:
    return StepRow(
        step=field(item, "step", int, where),
        verdict=enum_field(item, "verdict", Verdict, where),
        grad_norm=optional_field(item, "grad_norm", float, where),
        update_ratio=optional_field(item, "update_ratio", float, where),
        lr=optional_field(item, "lr", float, where),
    )


def _read_findings(document: Mapping[str, Any], key: str, where: str) -> tuple[Finding, ...]:
    return each_field(document, key, where, _read_finding) if key in document else ()


def _read_finding(item: Mapping[str, Any], where: str) -> Finding:
    return Finding(
        code=field(item, "code", str, where),
        name=field(item, "name", str, where),
        severity=enum_field(item, "severity", Severity, where),
        message=field(item, "message", str, where),
        parameters=list_field(item, "parameters", str, where),
        sites=each_field(item, "sites", where, _read_site),
        reason=optional_field(item, "reason", str, where),
        help=list_field(item, "help", str, where),
        notes=list_field(item, "notes", str, where, absent=True),
        evidence=enum_field(item, "evidence", Evidence, where),
        verified=optional_field(item, "verified", bool, where),
    )


def _read_site(item: Mapping[str, Any], where: str) -> FindingSite:
    site = Site(
        file=field(item, "file", str, where),
        line=field(item, "line", int, where),
        column=field(item, "column", int, where),
        end_line=field(item, "end_line", int, where),
        end_column=field(item, "end_column", int, where),
        function=field(item, "function", str, where),
        module=field(item, "module", str, where),
        source=field(item, "source", str, where),
        context=tuple(_read_line(pair, where) for pair in list_field(item, "context", list, where, absent=True)),
    )
    return FindingSite(enum_field(item, "role", Role, where), site, field(item, "note", str, where, default=""))


def _read_line(pair: list[Any], where: str) -> tuple[int, str]:
    if len(pair) != 2:
        raise UsageError(
            f"this is no gradflow/1 report: expected pairs of line number and text at {where}context, found {len(pair)} values"
        )
    return as_kind(pair[0], int, f"{where}context"), as_kind(pair[1], str, f"{where}context")


def _load(text: str) -> Document:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UsageError(f"this is no gradflow/1 report: expected JSON, found a text that does not parse ({error})") from error
    except RecursionError as error:
        raise UsageError("this is no gradflow/1 report: expected a report, found JSON that is nested too deep") from error
    return as_kind(document, dict, "the top level")


def _check_schema(document: Mapping[str, Any]) -> None:
    if document.get("schema") != SCHEMA:
        raise UsageError(f"expected a report of schema {SCHEMA}, found schema {document.get('schema')!r}")
