"""What the flow graph says once a report's findings are laid on it: where gradients arrive, where values of dead parameters go, and at
which nodes a finding stands. One sweep each; all walks are loops."""

from __future__ import annotations

from dataclasses import dataclass

from gradflow.graph.blame import incoming
from gradflow.graph.flow import EdgeKind, FlowGraph, NodeKind
from gradflow.graph.site import Site
from gradflow.report import Finding, Report, Role, Severity
from gradflow.verdict import Verdict

DEAD = frozenset({Verdict.SEVERED, Verdict.ESCAPED})
STOPS = frozenset({"GF105"})
"""Codes of findings at an operation over which no gradient comes back, though autograd connects its ends with something else."""
ON_PATH = frozenset({"GF105", "GF201", "GF202"})
"""Codes of findings that stand at an operation, and not at a cut."""

Place = tuple[str, int]
"""A file and a line."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place where findings stand in the flow: their numbers, and the labels of the cuts or calls there, as `.detach()`."""

    place: Place
    findings: tuple[int, ...]
    labels: tuple[str, ...]


@dataclass(slots=True)
class FlowState:
    """`arrives[n]`: a gradient comes to node n from a loss. `tainted[n]`: its value holds that of a dead parameter, and nothing arrives.

    `shown[n]`: it has a part in a loss. `cut_marks` and `node_marks` give the place at which a finding stands, by cut and by node.
    """

    shown: bytearray
    arrives: bytearray
    tainted: bytearray
    cut_marks: dict[int, Place]
    node_marks: dict[int, Place]
    marks: dict[Place, Mark]


def flow_state(report: Report) -> FlowState:
    """Everything the views ask of the flow graph of `report`."""
    flow = report.flow
    cut_marks, node_marks, marks = _marks(report)
    stops = {node for node, place in node_marks.items() if any(report.findings[number].code in STOPS for number in marks[place].findings)}
    shown, arrives = _sweep_back(flow, stops)
    _add_lost_hosts(report, shown)
    return FlowState(shown, arrives, _tainted(report, arrives), cut_marks, node_marks, marks)


def _marks(report: Report) -> tuple[dict[int, Place], dict[int, Place], dict[Place, Mark]]:
    flow = report.flow
    causes: dict[tuple[str, int, int], list[int]] = {}
    for number, finding in enumerate(report.findings):
        for entry in finding.sites:
            if entry.role is Role.CAUSE:
                causes.setdefault(_spot(entry.site), []).append(number)
    found: dict[Place, tuple[set[int], dict[str, None]]] = {}
    cut_marks: dict[int, Place] = {}
    for number, cut in enumerate(flow.cuts):
        near = causes.get(_spot(flow.sites[cut.site]), []) if cut.site >= 0 else []
        about = [hit for hit in near if _is_about_a_cut(report.findings[hit])]
        if about:
            place = cut_marks[number] = _spot(flow.sites[cut.site])[:2]
            findings, labels = found.setdefault(place, (set(), {}))
            findings.update(about)
            labels[cut.label] = None
    node_marks: dict[int, Place] = {}
    on_path = {spot: [hit for hit in hits if report.findings[hit].code in ON_PATH] for spot, hits in causes.items()}
    by_site = {number: hits for number, site in enumerate(flow.sites) if (hits := on_path.get(_spot(site)))}
    for number, node in enumerate(flow.nodes):
        if node.site in by_site and node.kind is not NodeKind.PARAMETER:
            place = node_marks[number] = _spot(flow.sites[node.site])[:2]
            findings, labels = found.setdefault(place, (set(), {}))
            findings.update(by_site[node.site])
            labels[node.label] = None
    marks = {place: Mark(place, tuple(sorted(findings)), tuple(labels)) for place, (findings, labels) in found.items()}
    return cut_marks, node_marks, marks


def _spot(site: Site) -> tuple[str, int, int]:
    return (site.file, site.line, site.column)


def _is_about_a_cut(finding: Finding) -> bool:
    return finding.code not in ON_PATH and (finding.severity is not Severity.INFO or finding.code == "GF901")


def _sweep_back(flow: FlowGraph, stops: set[int]) -> tuple[bytearray, bytearray]:
    """(what has a part in a loss, where a gradient arrives): nodes are in capture order, so one sweep downwards is enough."""
    offsets, edges = incoming(flow)
    shown, arrives = bytearray(len(flow.nodes)), bytearray(len(flow.nodes))
    for loss in flow.losses:
        shown[loss] = arrives[loss] = 1
    for node in range(max(flow.losses, default=-1), -1, -1):
        if not shown[node]:
            continue
        for edge in edges[offsets[node] : offsets[node + 1]]:
            source = flow.sources[edge]
            shown[source] = 1
            if arrives[node] and node not in stops and flow.kind_of(edge) is EdgeKind.LIVE:
                arrives[source] = 1
    return shown, arrives


def _add_lost_hosts(report: Report, shown: bytearray) -> None:
    """Shows the way of escaped parameters to where they leave torch."""
    flow = report.flow
    escaped = {number for number, row in enumerate(report.parameters) if row.verdict is Verdict.ESCAPED}
    if not escaped:
        return
    reached = bytearray(node.parameter in escaped for node in flow.nodes)
    offsets, edges = incoming(flow)
    for node in range(len(flow.nodes)):
        for edge in edges[offsets[node] : offsets[node + 1]]:
            reached[node] |= reached[flow.sources[edge]]
    for node, there in enumerate(reached):
        shown[node] |= there


def _tainted(report: Report, arrives: bytearray) -> bytearray:
    flow = report.flow
    tainted = bytearray(len(flow.nodes))
    dead = {number for number, row in enumerate(report.parameters) if row.verdict in DEAD}
    if not dead:
        return tainted
    for number, node in enumerate(flow.nodes):
        tainted[number] = node.parameter in dead
    offsets, edges = incoming(flow)
    for number in range(len(flow.nodes)):
        if not arrives[number] and not tainted[number]:
            tainted[number] = any(tainted[flow.sources[edge]] for edge in edges[offsets[number] : offsets[number + 1]])
    return tainted
