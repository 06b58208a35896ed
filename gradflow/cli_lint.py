"""`gradflow lint`: its options, and what it does with them. It reads source text and never runs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from gradflow.cli_settings import Options, add_selection, whole, with_settings
from gradflow.errors import UsageError

if TYPE_CHECKING:
    from gradflow.report import Report
    from gradflow.static.lint import Lookout

HELP = """\
PATH is a Python file, a notebook, or a folder: all .py and .ipynb files below it, without those that git ignores. Default: the working
directory. `-` is standard input.

exit codes: 0 nothing found, 1 findings at or above --fail-on, 2 could not lint"""


class Parser(Options, Protocol):
    """A parser of the command line."""

    def parse_args(self, words: Sequence[str]) -> argparse.Namespace:
        """The options in `words`."""


def add_lint_options(parser: Options, formats: Sequence[str], levels: Sequence[str], colors: Sequence[str]) -> None:
    """Adds the options of `gradflow lint`."""
    parser.option("--format", choices=formats, default="text", help="of the report (default: text)")
    parser.option("--fail-on", choices=levels, default="warning", help="the severity that makes the exit code 1 (default: warning)")
    add_selection(parser)
    parser.option("--exclude", action="append", default=[], metavar="GLOB", help="pass over paths that match, as 'vendor/*'; repeatable")
    parser.option("--stdin-filename", default="", metavar="NAME", help="the name of what is read from standard input")
    parser.option("--no-cache", action="store_true", help="read every file anew")
    parser.option("--cache-dir", default=".gradflow_cache", metavar="FOLDER", help="where results are kept (default: .gradflow_cache)")
    parser.option("--jobs", type=whole, default=0, metavar="N", help="processes that read at the same time (default: by the machine)")
    parser.option("--baseline", default="", metavar="FILE", help="findings that are in FILE do not count")
    parser.option("--write-baseline", default="", metavar="FILE", help="write the findings to FILE, as known from now on")
    parser.option("--verbose", action="store_true", help="fold nothing")
    parser.option("-o", "--output", default="", metavar="FILE", help="write the report there instead of to standard output")
    parser.option("--color", choices=colors, default="auto", help="default: auto, on a terminal and without NO_COLOR")


def run_lint(parser: argparse.ArgumentParser, words: Sequence[str], show: Callable[[Report, argparse.Namespace], None]) -> int:
    """Lints, shows the report, returns the exit code.

    Raises:
        GradflowError: a path or an option is wrong.
    """
    parser.add_argument("paths", nargs="*", metavar="PATH")
    parser.set_defaults(graph=False)
    options = parser.parse_args(list(words))
    paths = options.paths or ["."]
    ours, _ = with_settings(parser, list(words), list(paths))
    options = parser.parse_args(ours)
    report = _linted(options, paths)
    show(report, options)
    return 1 if report.outcome.value == "findings" else 0


def _linted(options: argparse.Namespace, paths: list[str]) -> Report:
    from gradflow.cli_screen import read_screen
    from gradflow.linting import lint_stdin, report_on
    from gradflow.static.lint import lint_paths

    screen = read_screen(options)
    if paths == ["-"]:
        report = lint_stdin(sys.stdin.buffer.read(), options.stdin_filename or "stdin.py")
    elif "-" in paths:
        raise UsageError("`-` is standard input, and stands alone")
    else:
        report = report_on(lint_paths(paths, _lookout(options)), paths)
    return screen.apply(report, " ".join(paths), codes=())


def _lookout(options: argparse.Namespace) -> Lookout:
    from gradflow.static.lint import Lookout

    return Lookout(tuple(options.exclude), "" if options.no_cache else os.path.abspath(options.cache_dir), options.jobs)
