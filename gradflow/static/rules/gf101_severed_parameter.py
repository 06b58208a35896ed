"""GF101 from the source: every way from a parameter to what `forward` returns passes a place that stops gradients.

The class is followed through its methods; a parameter that one way lets through is not reported, nor is one that the source freezes,
writes by hand or names as a target or moving average.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradflow.graph.flow import CutReason
from gradflow.graph.site import Site
from gradflow.report import Finding, Role, Severity
from gradflow.static.classflow import ClassFlow, Severed
from gradflow.static.cures import place_of, site_of, words_of
from gradflow.static.machine import CutSite
from gradflow.static.paths import fold_paths
from gradflow.static.rules.base import Draft, FileFacts, found, listed

CODE = "GF101"
NAME = "severed-parameter"
OTHERS = {"GF104": "recreated-parameter", "GF105": "loss-rebuilt", "GF106": "gradient-dropped"}


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each cut of each class; a cut that an inner class has said already is not said again."""
    said: set[tuple[str, int, str]] = set()
    flows = [entry for flow in facts.flows for entry in (flow, *flow.conditional)]
    findings: list[tuple[ClassFlow, Severed]] = [(flow, severed) for flow in flows for severed in flow.severed]
    # A class in which nothing learns stands behind one that holds it and learns: there the fault shows.
    for flow, severed in sorted(findings, key=lambda entry: (bool(entry[0].condition), not entry[0].live)):
        cuts = [flow.cuts[number] for number in severed.chain]
        key = (cuts[-1].module.source.path, getattr(cuts[-1].node, "lineno", 0), severed.paths[0].rpartition(".")[2])
        if key not in said:
            said.add(key)
            yield Draft(_finding(facts, flow, severed, cuts))


def _finding(facts: FileFacts, flow: ClassFlow, severed: Severed, cuts: list[CutSite]) -> Finding:
    every = [unit.path for unit in flow.units if unit.path]
    paths = fold_paths(severed.paths, every)
    nearest = cuts[-1]
    code = next((cut.code for cut in cuts if cut.code != CODE), CODE)
    them, verb = ("it", "is") if len(paths) == 1 else ("them", "are")
    severity, doubt = _severity(facts, flow, severed)
    may = "may be" if doubt and not flow.condition else verb
    helps = [f"to train {them}, {words_of(cut, site_of(cut))[1]}" for cut in reversed(cuts)]
    helps += _freezing(severed, cuts, them, every)
    notes = [f"read in the class `{flow.owner.name}`, and not run"]
    if doubt:
        notes.append(doubt)
    if len(cuts) > 1:
        notes.append(f"the {len(cuts)} cuts stand one behind the other: each of them has to go")
    return found(
        (code, OTHERS.get(code, NAME)),
        severity,
        f"{listed(paths)} {may} cut off from what `{severed.method}` returns by `{nearest.label}`"
        + (f" when {flow.condition}" if flow.condition else ""),
        _sites(flow, severed, cuts),
        parameters=paths,
        reason=nearest.reason.value,
        help=helps,
        notes=notes,
    )


def _freezing(severed: Severed, cuts: list[CutSite], them: str, every: list[str]) -> list[str]:
    """How to say that the parameters are meant to stay as they are. What stands before a region need not die with what is in it."""
    frozen = fold_paths(severed.inside or severed.paths, every)
    if any("*" in path for path in frozen):
        return []
    text = f"to freeze {them}, say so: " + ", ".join(f"`self.{path}.requires_grad_(False)`" for path in frozen[:3])
    outside = fold_paths(path for path in severed.paths if path not in severed.inside)
    if severed.inside and outside and len(cuts) == 1:
        learns = "learns" if len(outside) == 1 else "learn"
        text += f" in place of the {place_of(cuts[0])}, so that {listed(outside)} {learns}"
    return [text]


def _sites(flow: ClassFlow, severed: Severed, cuts: list[CutSite]) -> list[tuple[Role, Site, str]]:
    sites = []
    for cut in reversed(cuts):
        site = site_of(cut)
        sites.append((Role.CAUSE, site, words_of(cut, site)[0]))
    for node in severed.returned[:2]:
        name = f"{flow.owner.name}.{severed.method}"
        sites.append((Role.LEAK, severed.module.source.site(node, name, header=True), "returned here, with no way back for a gradient"))
    return sites


def _severity(facts: FileFacts, flow: ClassFlow, severed: Severed) -> tuple[Severity, str]:
    """How bad it is, and why that is not certain."""
    if flow.condition:
        return Severity.INFO, f"it depends on a flag, of which the source does not say the value: so it is where {flow.condition}"
    if not flow.live and not facts.trains:
        return Severity.INFO, "no parameter of the class gets a gradient, and the file trains nothing: it may be meant for inference"
    if flow.strangers:
        return Severity.WARNING, "a base class is not known here, and may use the parameters in another way"
    if facts.trains:
        return Severity.ERROR, ""
    if flow.cuts[severed.chain[-1]].reason is CutReason.NO_DERIVATIVE:
        doubt = "the file trains nothing: what is chosen by index or by a threshold may be trained in another way"
        return Severity.WARNING if severed.fed else Severity.INFO, doubt
    if severed.whole:
        return Severity.INFO, "nothing before that module is cut off, and the file trains nothing: it may be meant as frozen"
    return Severity.ERROR, ""
