"""`gradflow audit models/`, and `gradflow audit` where the settings list targets: many audits, a line for each as it comes, one report."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gradflow.cli_progress import progress
from gradflow.errors import UsageError

if TYPE_CHECKING:
    from gradflow.many import Order
    from gradflow.report import Report

_MOST_JOBS = 4
_SHARE_OF_MEMORY = 0.8


def add_many(parser: Any, whole: Callable[[str], int]) -> None:
    """Adds the options of audits of many targets."""
    parser.option("-j", "--jobs", type=whole, default=None, metavar="N", help="targets that run at a time (default: cores, at most 4)")
    help_text = "memory that one target may take (default: an equal share of the machine's)"
    parser.option("--memory", type=whole, default=None, metavar="GIB", help=help_text)


def is_folder(rest: Sequence[str]) -> bool:
    """Whether the target's words name a directory of models, rather than a package that can be run."""
    return len(rest) == 1 and os.path.isdir(rest[0]) and not os.path.isfile(os.path.join(rest[0], "__main__.py"))


def audit_all(orders: Sequence[Order], options: argparse.Namespace, say: Callable[[str], None]) -> tuple[Report, ...]:
    """The screened reports on all targets; `say` is told of each as it comes.

    Raises:
        UsageError: an option that goes with one target only.
    """
    from gradflow.cli_orders import name_of
    from gradflow.cli_screen import joined, read_screen
    from gradflow.many import audit_many

    jobs = options.jobs or min(_MOST_JOBS, os.cpu_count() or 1, len(orders))
    screen, done = read_screen(options), 0
    reports: dict[int, Report] = {}

    def tell(order: Order, report: Report) -> None:
        nonlocal screen, done
        screened = screen.apply(joined(report, options), name_of(order))
        screen, done = screen.after(), done + 1
        reports[id(order)] = screened  # two targets may have one name and other arguments
        say(f"[{done}/{len(orders)}] {name_of(order)}: {_in_a_word(screened)}")

    with progress(f"auditing {len(orders)} targets", wanted=options.quiet_script):
        audit_many(orders, jobs=jobs, memory=memory_limit(options.memory, jobs), said=tell)
    return tuple(reports[id(order)] for order in orders)


def write_page(reports: Sequence[Report], place: str) -> None:
    """Writes the page of all reports, where one was asked for."""
    if place:
        from gradflow.cli_pictures import write_bytes
        from gradflow.pictures import pages

        write_bytes(place, pages(reports).encode())


def check_pictures(options: argparse.Namespace) -> None:
    """Returns if no picture is asked for that can only show one program.

    Raises:
        UsageError: one is.
    """
    asked = [f"--{suffix}" for suffix in ("svg", "png", "pdf", "dot") if getattr(options, suffix)]
    if asked:
        raise UsageError(f"{asked[0]}: a picture shows one program, and these are several; `--html FILE` writes a page of all")


def exit_code(reports: Sequence[Report], code_of: Callable[[Report], int]) -> int:
    """1 where a target has findings, else 2 where one could not be audited, else 0."""
    codes = [code_of(report) for report in reports]
    return 1 if 1 in codes else max(codes)


def memory_limit(asked: int | None, jobs: int) -> int:
    """Bytes for one target: those asked for in GiB, else an equal share of the machine's."""
    from gradflow.capture.launch.memory import of_the_machine

    return asked * 2**30 if asked is not None else int(of_the_machine() * _SHARE_OF_MEMORY / jobs)


def table_words(table: dict[str, Any], folder: str) -> tuple[list[str], list[str]]:
    """(options, target) of one `[[target]]` of the settings, as words of a command line.

    Raises:
        UsageError: it has no `path`, or a value of another type.
    """
    path = table.get("path")
    if not isinstance(path, str) or not path:
        raise UsageError(f"[[target]]: expected path = 'model.py:Net', found {sorted(table)}")
    words: list[str] = []
    for name, value in table.items():
        if name == "path" or value is False:
            continue
        for entry in value if isinstance(value, list) else [value]:
            words += [f"--{name}"] if entry is True else [f"--{name}={entry}"]
    target = shlex.split(path)
    if ".py" in target[0]:
        target[0] = os.path.normpath(os.path.join(folder, target[0]))
    return words, target


def _in_a_word(report: Report) -> str:
    """The outcome in a few words."""
    counts = [(level, sum(finding.severity.value == level for finding in report.findings)) for level in ("error", "warning")]
    found = ", ".join(f"{number} {level}{'s' if number > 1 else ''}" for level, number in counts if number)
    if report.outcome.value in ("clean", "findings", "partial"):
        return found or "clean"
    return f"{report.outcome.value}: {report.message}" if report.message else report.outcome.value
