"""The findings as SARIF 2.1.0, for code hosts and editors that show results of static analysis: one rule a check, one result a finding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from gradflow.graph.site import Site
from gradflow.render.markup import clean
from gradflow.report import Finding, FindingSite, Outcome, Report, Role, Severity

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_ROLE_WORDS = {Role.LEAK: "the values leave here", Role.DEFINITION: "defined here", Role.CAUSE: "also here"}
_RAN = (Outcome.CLEAN, Outcome.FINDINGS, Outcome.PARTIAL)

Form = dict[str, Any]


def render_sarif(reports: Sequence[Report], pages: Mapping[str, str] | None = None) -> str:
    """The reports as one SARIF document, ASCII, ended by a line feed. `pages` has the page of each check in markdown, by code.

    All of them are one run: GitHub refuses a document with several runs of one tool. What two of them say alike is one result.
    """
    rules = {finding.code: finding for report in reversed(reports) for finding in reversed(report.findings)}
    order = sorted(rules)
    results: dict[tuple[str, int], Form] = {}
    for report in reports:
        for finding in report.findings:
            key = (finding.fingerprint, finding.cause.line if finding.cause else 0)
            if key in results:
                results[key]["occurrenceCount"] = results[key].get("occurrenceCount", 1) + 1
            else:
                results[key] = _result(report, finding, order.index(finding.code))
    run = {
        "tool": {
            "driver": {
                "name": "gradflow",
                "version": metadata.version("gradflow"),
                "rules": [_rule(rules[code], (pages or {}).get(code, "")) for code in order],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the folder in which gradflow was run"}}},
        "invocations": [_invocation(report) for report in reports],
        "results": list(results.values()),
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _rule(finding: Finding, page: str) -> Form:
    title = finding.name.replace("-", " ")
    text = page or "\n".join(finding.help) or title
    return {
        "id": finding.code,
        "name": "".join(word.capitalize() for word in finding.name.split("-")),
        "shortDescription": {"text": title},
        "help": {"text": clean(text), "markdown": clean(text)},
        "defaultConfiguration": {"level": _LEVEL[finding.severity]},
    }


def _invocation(report: Report) -> Form:
    form: Form = {"executionSuccessful": report.outcome in _RAN, "commandLine": clean(report.target.reproduce)}
    notes = [note for note in (report.message, *report.notes) if note]
    if notes:
        form["toolExecutionNotifications"] = [{"level": "note", "message": {"text": clean(note)}} for note in notes]
    return form


def _result(report: Report, finding: Finding, rule: int) -> Form:
    helps = "".join(f"\n\nhelp: {line}" for line in finding.help)
    form: Form = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVEL[finding.severity],
        "message": {"text": clean(finding.message + helps)},
        "locations": _locations(report, finding),
        "partialFingerprints": {"gradflow/v1": finding.fingerprint},
        "properties": {
            "parameters": [clean(name) for name in finding.parameters],
            "reason": finding.reason or "",
            "evidence": finding.evidence.value,
        },
    }
    related = [entry for entry in finding.sites if entry.site is not finding.cause]
    if related:
        form["relatedLocations"] = [_related(entry, number) for number, entry in enumerate(related, start=1)]
    return form


def _locations(report: Report, finding: Finding) -> list[Form]:
    if finding.cause is not None:
        return [_location(finding.cause)]
    # A code host drops a result that has no place at all.
    return [{"physicalLocation": {"artifactLocation": _artifact(report.target.file)}}] if report.target.file else []


def _related(entry: FindingSite, number: int) -> Form:
    return {"id": number, "message": {"text": clean(entry.note) or _ROLE_WORDS[entry.role]}, **_location(entry.site)}


def _location(site: Site) -> Form:
    form: Form = {"physicalLocation": {"artifactLocation": _artifact(site.file), "region": _region(site)}}
    if site.function:
        form["logicalLocations"] = [{"fullyQualifiedName": clean(site.function), "kind": "function"}]
    return form


def _region(site: Site) -> Form:
    form: Form = {"startLine": max(site.line, 1), "startColumn": max(site.column, 1)}
    if site.end_line >= site.line:
        form["endLine"] = max(site.end_line, 1)
        if site.end_column > (site.column if site.end_line == site.line else 0):
            form["endColumn"] = site.end_column
    if site.source:
        form["snippet"] = {"text": clean(site.source)}
    return form


def _artifact(file: str) -> Form:
    path = clean(file)
    if PurePosixPath(path).is_absolute():
        return {"uri": "file://" + quote(path)}
    if path[1:2] == ":":
        return {"uri": "file:///" + quote(path, safe="/:")}
    return {"uri": quote(path), "uriBaseId": "SRCROOT"}
