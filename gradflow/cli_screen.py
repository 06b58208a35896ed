"""What the command line does with a report before it is shown: selection, baseline, a closer look. Reads and writes the baseline's file."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gradflow.baseline import Baseline, read_baseline, write_baseline
from gradflow.errors import TargetError
from gradflow.focus import with_focus
from gradflow.report import Outcome, Report
from gradflow.screening import FailOn, idle_ignores, screen, settle
from gradflow.selection import EVERYTHING, Selection, read_selectors, require_known


@dataclass(frozen=True, slots=True)
class Screen:
    """What is done with a report before it is shown. `write_to` is the file of a new baseline, empty: none."""

    selection: Selection
    fail_on: str
    baseline: Baseline | None = None
    write_to: str = ""
    param: tuple[str, ...] = ()

    def apply(self, report: Report, target: str, codes: Sequence[str] | None = None) -> Report:
        """The report as it is to be shown; writes the baseline. `target` is what the baseline calls it.

        `codes` are those for which a comment that suppresses nothing is idle; default: what an audit can find.
        """
        idle = idle_ignores(report, _sources(report), _all_codes() if codes is None else codes)
        baseline = self.baseline
        if self.write_to and _is_complete(report):
            baseline = self._write(screen(report, self.selection), target)
        elif self.write_to:
            idle = (f"baseline `{self.write_to}` was not written: the audit is not complete",)
        screened = screen(report, self.selection, baseline, target=target)
        return settle(with_focus(replace(screened, notes=(*screened.notes, *idle)), self.param), FailOn(self.fail_on))

    def after(self) -> Screen:
        """The screen for the next of several targets: a baseline that was written goes on."""
        if not self.write_to or not os.path.isfile(self.write_to):
            return self
        return replace(self, baseline=read_baseline(Path(self.write_to).read_text("utf-8"), self.write_to))

    def _write(self, report: Report, target: str) -> Baseline:
        text = write_baseline(target, report.findings, self.baseline)
        try:
            Path(self.write_to).write_text(text, "utf-8", newline="\n")
        except OSError as error:
            raise TargetError(f"--write-baseline: `{self.write_to}` cannot be written: {error.strerror}") from error
        return read_baseline(text, self.write_to)


def joined(report: Report, options: argparse.Namespace) -> Report:
    """The report of a run, with `--static` also with what the source says."""
    if not getattr(options, "static", False):
        return report
    from gradflow.joining import with_static  # what parses sources is not needed otherwise

    return with_static(report)


def read_screen(options: argparse.Namespace) -> Screen:
    """What the options ask for. Reads the baseline, so that a wrong one is told before minutes are spent.

    Raises:
        UsageError: a selector or the baseline has another form.
        TargetError: the baseline is not there, or cannot be written.
    """
    selection: Selection = getattr(options, "selection", None) or Selection()
    _check_codes(selection, options)
    selection = selection.overridden(read_selectors(options.select, "--select"), read_selectors(options.ignore, "--ignore"))
    write_to, place = getattr(options, "write_baseline", ""), getattr(options, "baseline", "")
    if write_to and (os.path.isdir(write_to) or not os.path.isdir(os.path.dirname(os.path.abspath(write_to)))):
        raise TargetError(f"--write-baseline: expected a file in a directory that exists, found `{write_to}`")
    baseline = None
    if write_to and os.path.isfile(write_to):
        baseline = _read(write_to)
    elif place and not write_to:
        if not os.path.isfile(place):
            raise TargetError(f"--baseline: no such file: `{place}`; `--write-baseline {shlex.quote(place)}` writes one")
        baseline = _read(place)
    return Screen(selection, options.fail_on, baseline, write_to, tuple(getattr(options, "param", ())))


def _check_codes(selection: Selection, options: argparse.Namespace) -> None:
    """Returns if every selector, in the settings or on the command line, stands for a check that there is."""
    given = [("--select", read_selectors(options.select, "--select")), ("--ignore", read_selectors(options.ignore, "--ignore"))]
    per_file = [entry for _, entries in selection.per_file for entry in entries]
    settings = [("`select` in the settings", selection.select), ("`ignore` in the settings", selection.ignore)]
    wanted = [*given, *settings, ("`per-file-ignores` in the settings", per_file)]
    if any(selector != EVERYTHING[0] for _, selectors in wanted for selector in selectors):
        from gradflow.checks.explain import all_described  # a tenth of what `lint` takes for one small file

        codes = [entry.CODE for entry in all_described()]
        for where, selectors in wanted:
            require_known(selectors, codes, where)


def _all_codes() -> list[str]:
    from gradflow.checks.base import all_checks  # as above: only an audit asks for them

    return [check.CODE for check in all_checks()]


def _read(place: str) -> Baseline:
    try:
        return read_baseline(Path(place).read_text("utf-8"), place)
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"--baseline: `{place}` cannot be read: {error}") from error


def _is_complete(report: Report) -> bool:
    return report.outcome in (Outcome.CLEAN, Outcome.FINDINGS)


def _sources(report: Report) -> dict[str, str]:
    """The text of the user's own files that had a part in the run, by their name in the report."""
    sites = [*report.flow.sites, *(entry.site for finding in (*report.findings, *report.suppressed) for entry in finding.sites)]
    texts = {}
    for file in sorted({site.file for site in sites} | {report.target.file}):
        path = Path(file)
        if path.suffix == ".py" and not path.is_absolute() and "site-packages" not in path.parts and path.is_file():
            texts[file] = path.read_bytes().decode("utf-8", "replace")
    return texts
