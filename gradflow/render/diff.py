"""The difference of two reports as text, markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from gradflow.difference import Change, Difference
from gradflow.render.markdown import code_span, plain_text
from gradflow.render.names import fold_names, plural
from gradflow.render.page import visible
from gradflow.report import Finding

SCHEMA = "gradflow-diff/1"
MOST_NORMS = 10
"""Norms that are listed in text; the rest is counted."""


def render_diff(difference: Difference, format: str) -> str:
    """The difference in one of DIFF_FORMATS, ended by a line feed."""
    return DIFF_FORMATS[format](difference)


def _text(difference: Difference) -> str:
    lines = [visible(line, unicode=True) for line in _lines(difference, str, lambda sentence: sentence)]
    return "\n".join([*lines, visible(_closing(difference), unicode=True)]) + "\n"


def _markdown(difference: Difference) -> str:
    lines = [f"- {line}" for line in _lines(difference, code_span, plain_text)]
    return "\n".join(["## gradflow diff", "", plain_text(_closing(difference)), *([""] if lines else []), *lines]) + "\n"


def _lines(difference: Difference, name: Callable[[str], str], sentence: Callable[[str], str]) -> list[str]:
    """One line a group of changes: `name` writes lists of names, `sentence` what findings say."""
    lines = [_changes("died", difference.died, name), _changes("came alive", difference.revived, name)]
    lines += [_changes("changed", difference.changed, name)]
    lines += [f"new: {finding.code} {sentence(finding.message)}{_place(finding, name)}" for finding in difference.new_findings]
    lines += [f"fixed: {finding.code} {sentence(finding.message)}{_place(finding, name)}" for finding in difference.fixed_findings]
    for word, rows in (("added", difference.added), ("removed", difference.removed)):
        lines.append(f"{word}: {name(fold_names([row.name for row in rows]))}" if rows else "")
    norms = sorted(difference.norms, key=lambda change: max(change.new / change.old, change.old / change.new), reverse=True)
    lines += [f"|grad| of {name(change.name)}: {change.old:.1e} to {change.new:.1e}" for change in norms[:MOST_NORMS]]
    if len(norms) > MOST_NORMS:
        lines.append(f"... and {plural(len(norms) - MOST_NORMS, 'more norm')} that moved as far")
    return [line for line in "\n".join(lines).split("\n") if line]


def _changes(word: str, changes: Iterable[Change], name: Callable[[str], str]) -> str:
    """One line for each pair of verdicts."""
    groups: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        groups.setdefault((change.old.value, change.new.value), []).append(" ".join(change.name.split()))
    return "\n".join(f"{word}: {name(fold_names(names))} ({old} to {new})" for (old, new), names in groups.items())


def _place(finding: Finding, name: Callable[[str], str]) -> str:
    return f" ({name(f'{finding.cause.file}:{finding.cause.line}')})" if finding.cause else ""


def _closing(difference: Difference) -> str:
    if difference.is_empty:
        return "Nothing changed."
    died, revived = len(difference.died), len(difference.revived)
    words = [f"{plural(died, 'parameter')} died" if died else "No parameter died", f"{revived:,} came alive" if revived else ""]
    words += [plural(len(difference.new_findings), "new finding") if difference.new_findings else ""]
    words += [f"{len(difference.fixed_findings):,} fixed" if difference.fixed_findings else ""]
    return ", ".join(word for word in words if word) + "."


def _json(difference: Difference) -> str:
    def changes(group: Iterable[Change]) -> list[dict[str, str]]:
        return [{"name": change.name, "old": change.old.value, "new": change.new.value} for change in group]

    def findings(group: Iterable[Finding]) -> list[dict[str, object]]:
        return [
            {"code": finding.code, "message": finding.message, "parameters": list(finding.parameters), "fingerprint": finding.fingerprint}
            for finding in group
        ]

    document = {
        "schema": SCHEMA,
        "died": changes(difference.died),
        "revived": changes(difference.revived),
        "changed": changes(difference.changed),
        "added": [row.name for row in difference.added],
        "removed": [row.name for row in difference.removed],
        "norms": [{"name": change.name, "old": change.old, "new": change.new} for change in difference.norms],
        "new_findings": findings(difference.new_findings),
        "fixed_findings": findings(difference.fixed_findings),
    }
    return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


DIFF_FORMATS: dict[str, Callable[[Difference], str]] = {"text": _text, "json": _json, "markdown": _markdown}
