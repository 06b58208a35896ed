"""The words in pictures: headlines, counts, shapes, names of folded runs. Plain text; escaping is the renderer's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from gradflow.report import Finding, ParameterRow, Report, Severity
from gradflow.verdict import WORST_FIRST, Verdict

_HEADLINE = 160  # characters


def counts_of(rows: Iterable[ParameterRow]) -> tuple[tuple[Verdict, int], ...]:
    """How many of `rows` have which verdict, in the enum's order."""
    counts = Counter(row.verdict for row in rows)
    return tuple((verdict, counts[verdict]) for verdict in Verdict if counts[verdict])


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that stands for several; UNKNOWN for none."""
    found = set(verdicts)
    return next((verdict for verdict in WORST_FIRST if verdict in found), Verdict.UNKNOWN)


def plural(count: int, noun: str) -> str:
    """`1 parameter`, `1,204 parameters`."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def size_word(elements: int) -> str:
    """`912`, `9.5k`, `38.6M`, `405B`."""
    for limit, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if elements >= limit * 0.9995:
            value = elements / limit
            return f"{value:.0f}{sign}" if value >= 99.95 else f"{value:.1f}{sign}"
    return str(elements)


def shape_word(shape: Sequence[int]) -> str:
    """`64×32`; a scalar is `1`."""
    return "×".join(str(size) for size in shape) or "1"


def norm_word(row: ParameterRow) -> str:
    """`|g| 1.3e-01` where a norm is known, else the verdict's word."""
    if row.verdict is Verdict.LIVE and row.grad_norm is not None:
        return f"|g| {row.grad_norm:.1e}"
    return row.verdict.value


def run_title(paths: Sequence[str], frame: str) -> str:
    """A module's name, or that of a run of siblings (`h.6 - h.49`), without the path of the frame that it stands in."""
    first, last = _relative(paths[0], frame), _relative(paths[-1], frame)
    if len(paths) == 1:
        return first
    numbers = [int(re.findall(r"\d+", path)[-1]) for path in paths]
    is_whole = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    if not is_whole and len(paths) <= 3:
        return ", ".join(_relative(path, frame) for path in paths)
    # The list that all of them stand in is named once in full.
    return f"{first} - {'.'.join(last.split('.')[-2:])}"


def _relative(path: str, frame: str) -> str:
    return path[len(frame) + 1 :] if frame and path.startswith(frame + ".") else path


def headline(report: Report) -> str:
    """What a reader should take away: the one finding there is, else how many parameters get no gradient."""
    loud = [finding for finding in report.findings if finding.severity is not Severity.INFO]
    errors = [finding for finding in loud if finding.severity is Severity.ERROR]
    if len(errors or loud) == 1:
        return clipped(plain(one_line((errors or loud)[0].message)), _HEADLINE)
    total = len(report.parameters)
    dead = [row for row in report.parameters if row.verdict not in (Verdict.LIVE, Verdict.FROZEN)]
    if loud:
        kinds = plural(len(errors), "error") if errors else plural(len(loud), "warning")
        return f"{kinds}: {plural(len(dead), 'parameter')} of {total:,} {'gets' if len(dead) == 1 else 'get'} no gradient"
    if not total:
        return "No parameters"
    live = sum(row.verdict is Verdict.LIVE for row in report.parameters)
    if live == total:
        return "The only parameter gets a gradient" if total == 1 else f"All {total:,} parameters get a gradient"
    return f"{live:,} of {plural(total, 'parameter')} {'gets' if live == 1 else 'get'} a gradient"


def tally(report: Report) -> str:
    """The target, then how many parameters have which verdict, and the elements of what learns."""
    name = PurePosixPath(report.target.file).name or report.target.reproduce
    counts = ", ".join(f"{count:,}\u00a0{verdict.value}" for verdict, count in counts_of(report.parameters))
    live = sum(row.elements for row in report.parameters if row.verdict is Verdict.LIVE)
    elements = sum(row.elements for row in report.parameters)
    words = f"{plural(len(report.parameters), 'parameter')}: {counts or 'none'}"
    if elements:
        words += f"; {live:,} of {elements:,} elements get\u00a0a\u00a0gradient"
    return f"{clipped(one_line(name), 60)}: {words}" if name else words


def plain(text: str) -> str:
    """`text` without the backticks of messages."""
    return text.replace("`", "")


def one_line(text: str) -> str:
    """`text` with every run of blanks and line breaks as one blank."""
    return " ".join(text.split())


def clipped(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, ended by an ellipsis where something was left out."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def finding_word(finding: Finding) -> str:
    """The name of a check as words: `unregistered parameter`."""
    return finding.name.replace("-", " ")
