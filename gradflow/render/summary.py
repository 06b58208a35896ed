"""The last lines of a report in words: how many parameters have which verdict, and how many findings there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gradflow.render.names import plural
from gradflow.report import Outcome, ParameterRow, Report, Severity
from gradflow.verdict import Verdict

_HARMLESS = frozenset({Verdict.LIVE, Verdict.FROZEN})
_UNFINISHED = {
    Outcome.PARTIAL: "The audit is not complete",
    Outcome.CRASHED: "Your program raised before a step could be judged",
    Outcome.NOTHING: "Nothing was audited",
    Outcome.USAGE: "Nothing was audited",
    Outcome.TIMEOUT: "The time ran out before a step could be judged",
}


def count_verdicts(rows: Iterable[ParameterRow]) -> dict[Verdict, tuple[int, int]]:
    """For each verdict that occurs: how many parameters have it, and how many elements these have together. In the enum's order."""
    parameters: Counter[Verdict] = Counter()
    elements: Counter[Verdict] = Counter()
    for row in rows:
        parameters[row.verdict] += 1
        elements[row.verdict] += row.elements
    return {verdict: (parameters[verdict], elements[verdict]) for verdict in Verdict if parameters[verdict]}


def share(part: int, whole: int) -> str:
    """`part` of `whole` as a percentage that is 0 % only for nothing and 100 % only for all.

    >>> share(1, 1000), share(999, 1000), share(0, 5), share(5, 5)
    ('<1%', '>99%', '0%', '100%')
    """
    if part == 0 or whole == 0:
        return "0%"
    percent = round(100 * part / whole)
    if percent == 0:
        return "<1%"
    return ">99%" if percent == 100 and part < whole else f"{percent}%"


def closing_sentence(report: Report) -> str:
    """The one line that says how the audit ended."""
    counts = Counter(finding.severity for finding in report.findings)
    words = [plural(counts[severity], severity.value) for severity in (Severity.ERROR, Severity.WARNING) if counts[severity]]
    found = f"Found {', '.join(words)}." if words else ""
    if report.outcome in _UNFINISHED:
        unfinished = _UNFINISHED[report.outcome]
        return f"{found} " * bool(found) + (f"{unfinished}: {report.message}" if report.message else f"{unfinished}.")
    return found or _clean_sentence(report)


def _clean_sentence(report: Report) -> str:
    if not report.parameters:
        return "No error or warning."
    counts = {verdict: count for verdict, (count, _) in count_verdicts(report.parameters).items()}
    total, live = sum(counts.values()), counts.pop(Verdict.LIVE, 0)
    first = "No parameter is cut off" if _HARMLESS.issuperset(counts) else "No error or warning"
    passes = f" in {plural(report.backward_passes, 'backward pass', 'backward passes')}" if report.backward_passes else ""
    rest = "".join(f", {count:,} {'is' if count == 1 else 'are'} {verdict.value}" for verdict, count in counts.items())
    return f"{first}: {live:,} of {plural(total, 'parameter')} {'gets' if live == 1 else 'get'} a gradient{passes}{rest}."
