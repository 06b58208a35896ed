"""What gradflow offers for source text: lint files and folders without running them. Composes the stages, and prints nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from gradflow.graph.target import Target, TargetKind
from gradflow.report import Outcome, Report
from gradflow.screening import FailOn, screen, settle, split_suppressed
from gradflow.selection import Selection, read_selectors, require_known
from gradflow.static.lint import Linted, Lookout, lint_paths, lint_text


def lint(
    paths: str | Path | Sequence[str | Path],
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fail_on: str = "warning",
    lookout: Lookout | None = None,
) -> Report:
    """The report on source files, and on all Python files and notebooks in folders. Nothing of them is executed.

    Args:
        select, ignore: codes or beginnings of codes, as on the command line.
        fail_on: the severity from which on the outcome is `findings`: error, warning or never.
        lookout: which files to pass over, where results are kept, how many processes read.

    Raises:
        TargetError: a path does not exist.
        UsageError: a code has another form, or there is no such check.
    """
    chosen, ignored = read_selectors(select, "select"), read_selectors(ignore, "ignore")
    if chosen or ignored:
        from gradflow.checks.explain import all_described  # with all checks, which reading source needs not

        for where, selectors in (("select", chosen), ("ignore", ignored)):
            require_known(selectors, [entry.CODE for entry in all_described()], where)
    selection = Selection().overridden(chosen, ignored)
    entries = [paths] if isinstance(paths, str | Path) else list(paths)
    report = report_on(lint_paths(entries, lookout or Lookout()), [str(entry) for entry in entries])
    return settle(screen(report, selection), FailOn(fail_on))


def lint_stdin(data: bytes, name: str) -> Report:
    """The report on the bytes of one file, which is taken to stand at `name`; not screened yet."""
    return report_on(lint_text(data, name), ["-", "--stdin-filename", name])


def report_on(linted: Linted, words: Sequence[str]) -> Report:
    """The report on what was found; not screened by codes yet, but without what comments in the source ask to ignore."""
    kept, suppressed = split_suppressed(linted.findings)
    files = f"{linted.files:,} {'file' if linted.files == 1 else 'files'} read, none of them run"
    target = Target(TargetKind.SOURCE, words[0] if len(words) == 1 else "", shlex.join(["gradflow", "lint", *words]))
    return Report(Outcome.CLEAN, target, findings=kept, suppressed=suppressed, notes=(files, *linted.notes))
