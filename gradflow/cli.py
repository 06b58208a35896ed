"""The command line: parse, audit, render, exit code. The report goes to standard output, everything else to standard error.

Imports what a command needs when it runs: `--help` must not wait for torch, networkx or rich.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from gradflow import __version__
from gradflow.cli_freeze import add_freeze, run_freeze
from gradflow.cli_lint import HELP, add_lint_options, run_lint
from gradflow.cli_many import add_many, audit_all, check_pictures, exit_code, is_folder, table_words, write_page
from gradflow.cli_pictures import (
    PICTURES,
    add_audit_pictures,
    add_convert_options,
    add_diff_options,
    add_view_options,
    check_places,
    check_view,
    convert_report,
    diff,
    format_of,
    pages_of_checks,
    split_graph_words,
    write_picture,
)
from gradflow.cli_progress import progress
from gradflow.cli_settings import add_screening, add_selection, output_of, seconds, seed, wants_json, whole, with_settings
from gradflow.errors import GradflowError, InvariantError, TargetError, UsageError

if TYPE_CHECKING:
    from gradflow.report import Report

CLEAN, FINDINGS, NO_AUDIT = 0, 1, 2
"""The exit codes: audited and nothing found, findings at or above the fail level, could not audit."""

FORMATS = ("text", "concise", "json", "sarif", "github", "markdown")
COLORS = ("auto", "always", "never")
LEVELS = ("error", "warning", "never")

TARGET_HELP = """\
TARGET is one of
  file.py ARGS ...        a training script, run as `python file.py ARGS ...`; all that follows it is the script's own. If it trains
                          nothing, the model that it calls, holds or defines
  notebook.ipynb          a notebook: its code cells, in order
  -m pkg.mod ARGS ...     a module, run as `python -m pkg.mod ARGS ...`
  -- COMMAND ...          a command that starts Python, as `-- torchrun --nproc-per-node 2 train.py`; all its processes are audited
  file.py:attr            a model: an nn.Module class, an instance, or a function that makes one; what is not given is guessed
  models/                 a directory: each of its files that defines or trains a model
  pkg.mod:attr            the same, in a module that is imported from the working directory

exit codes: 0 audited and clean, 1 findings at or above --fail-on, 2 could not audit"""


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing a usage text, so that every format can say what is wrong. Knows which options take a value."""

    def __init__(self, **kwargs: object) -> None:
        self.valued: set[str] = set()
        self.others: tuple[_Parser, ...] = ()
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)  # type: ignore[arg-type]

    def option(self, *names: str, **kwargs: object) -> None:
        """Adds an option; those without an `action` of their own take a value."""
        if kwargs.get("action", "append") == "append":
            self.valued.update(names)
        self.add_argument(*names, **kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line `arguments` (default: those of the process), and exits with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(words)
    except GradflowError as error:
        _say(f"error: {error}")
        code = NO_AUDIT
    except KeyboardInterrupt:
        _say("error: interrupted by Ctrl-C")
        code = NO_AUDIT
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); without this Python would complain once more while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = NO_AUDIT
    except Exception as error:  # noqa: BLE001 - as in `_audit`
        _say_failure(error, (), ())
        code = NO_AUDIT
    sys.exit(code)


def _run(words: list[str]) -> int:
    parser = _Parser(prog="gradflow", description="Finds parameters of a PyTorch model that do not learn, and the line that cut them off.")
    parser.add_argument("--version", action="version", version=f"gradflow {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    audit = commands.add_parser(
        "audit",
        help="run a script or a model, and judge each parameter",
        usage="gradflow audit [options] TARGET [ARGS of the script ...]",
        description="Runs TARGET, watches how values and gradients flow, and judges each parameter.",
        epilog=TARGET_HELP,
    )
    _add_audit_options(audit)
    add_audit_pictures(audit)
    graph = commands.add_parser(
        "graph",
        help="audit a script or a model, and draw it",
        usage="gradflow graph TARGET -o out.svg [options] [-- ARGS of the script]",
        description="Audits TARGET and draws it; the suffix of the file chooses the format: svg, png, pdf, dot, html or json.",
    )
    _add_run_options(graph)
    add_view_options(graph)
    graph.option("-o", "--output", required=True, metavar="FILE", help="the picture")
    convert = commands.add_parser("convert", help="write a report that was saved as JSON in another format")
    add_convert_options(convert, FORMATS, COLORS)
    add_diff_options(commands.add_parser("diff", help="say what changed between two reports; exit 1 where a parameter died"))
    explain = commands.add_parser("explain", help="say what a check looks for, and what to write instead; without a code: list them")
    explain.add_argument("code", nargs="?", metavar="CODE", help="as in GF101")
    lint = commands.add_parser("lint", help="read source files, and run nothing", usage="gradflow lint [options] PATH ...", epilog=HELP)
    add_lint_options(lint, FORMATS, LEVELS, COLORS)
    freeze = add_freeze(commands)
    audit.others = graph.others = tuple(commands.choices.values())
    free = {"audit": (_audit, audit), "graph": (_graph, graph), "lint": (_lint, lint)}
    if words and words[0] in free:
        run, its_parser = free[words[0]]
        return run(its_parser, words[1:])
    if words[:1] == ["freeze"]:
        return run_freeze(freeze, words[1:], _write)
    options = parser.parse_args(words)
    if options.command == "explain":
        return _explain(options.code)
    if options.command == "convert":
        _check_output(options.output)
        convert_report(options, lambda found: _write(_rendered(found, options), options.output), _say)
        return CLEAN
    if options.command == "diff":
        text, died = diff(options)
        _write(text, options.output)
        return FINDINGS if died else CLEAN
    parser.print_help(sys.stderr)
    return NO_AUDIT


def _add_audit_options(parser: _Parser) -> None:
    parser.option("--format", choices=FORMATS, default="text", help="of the report (default: text)")
    _add_run_options(parser)
    add_screening(parser)
    add_many(parser, whole)
    parser.option("--graph", action="store_true", help="put the flow graph into the JSON")
    parser.option("--static", action="store_true", help="read the source as `lint` does too: what it says goes into the report")
    parser.option("--verbose", action="store_true", help="fold nothing")
    parser.option("-o", "--output", default="", metavar="FILE", help="write the report there instead of to standard output")
    parser.option("--color", choices=COLORS, default="auto", help="default: auto, on a terminal and without NO_COLOR")


def _add_run_options(parser: _Parser) -> None:
    parser.option("--fail-on", choices=LEVELS, default="error", help="the severity that makes the exit code 1 (default: error)")
    add_selection(parser)
    parser.option("--steps", type=whole, default=3, metavar="N", help="optimizer steps to watch before the script is stopped (default: 3)")
    parser.option("--timeout", type=seconds, default=120.0, metavar="SECONDS", help="judge what was seen by then (default: 120)")
    example = "'x=float32[2,3,32,32]' or 'int64[2,16]<100'"
    parser.option("--input", action="append", default=[], metavar="SPEC", help=f"input of a model, as {example}; repeatable")
    init = "arguments of a class to audit, as 'dim=64, depth=2'; what is not given is guessed"
    parser.option("--init", default="", metavar="ARGS", help=init)
    parser.option("--eval", action="store_true", help="audit a model in eval mode")
    parser.option("--loss", default="", metavar="FILE.py:FUNCTION", help="loss of a model: loss(output) or loss(model, output)")
    parser.option("--fake", action="store_true", help="compute no values, for models larger than memory; by itself above 500M parameters")
    parser.option("--batch", type=whole, default=None, metavar="N", help="batch size of a model's inputs, however they were found")
    parser.option("--seq", type=whole, default=None, metavar="N", help="length of a model's sequences: the second dimension of 2 or 3")
    parser.option("--seed", type=seed, default=None, metavar="N", help="seed random, numpy and torch with N before the script begins")
    parser.option("--compile", action="store_true", help="leave torch.compile on (default: what is compiled runs eagerly)")
    parser.option("--quiet-script", action="store_true", help="drop what the script prints, which else goes to standard error")


def _split(parser: _Parser, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(our options, TARGET and all that follows it). A model or a directory has no arguments: what follows it is ours too."""
    index = 0
    while index < len(words) and words[index].startswith("-") and words[index] not in ("-", "--", "-m"):
        index += 2 if words[index] in parser.valued else 1
    ours, rest = list(words[:index]), list(words[index:])
    if rest and (":" in rest[0] or is_folder(rest[:1])) and not os.path.isfile(rest[0]):
        more, others = _split(parser, rest[1:])
        return ours + more, [rest[0], *others]
    return ours, rest


def _audit(parser: _Parser, words: list[str]) -> int:
    ours, rest = _split(parser, words)
    try:
        ours, rest = with_settings(parser, ours, rest, parser.others)
        options = parser.parse_args(ours)
        wanted = [(suffix, place) for suffix in PICTURES if (place := getattr(options, suffix))]
        if is_folder(rest) or (not rest and options.targets):
            return _audit_many(parser, options, ours, rest)
        check_places([(f"--{suffix}", place) for suffix, place in wanted])
        report = _audited(options, rest)
        code = _deliver(report, options)
        for suffix, place in wanted if code != NO_AUDIT else ():
            write_picture(report, suffix, place, _say)
        return code
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of ours must not look like findings, whose exit code is Python's own for a crash
        _say_failure(error, ours, rest)
    return NO_AUDIT


def _lint(parser: _Parser, words: list[str]) -> int:
    try:
        return run_lint(parser, words, lambda report, options: _write(_rendered(report, options), options.output))
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - as in `_audit`
        _say_failure(error, words, [])
    return NO_AUDIT


def _graph(parser: _Parser, words: list[str]) -> int:
    ours, rest = with_settings(parser, *split_graph_words(parser, words), parser.others)
    options = parser.parse_args(ours)
    suffix = format_of(options.output)
    check_view(options.view)
    report = _audited(options, rest)
    code = _exit_code(report)
    if report.crash:
        _say_text(report.crash)
    if report.message:
        _say(report.message if code != NO_AUDIT else f"error: {report.message}")
    if code == NO_AUDIT:
        return code
    _say(f"audited {_KIND_WORDS.get(report.target.kind.value, 'it')}: {report.target.reproduce}")
    if suffix == "json":
        _write(report.to_json(graph=True), options.output)
    else:
        write_picture(report, suffix, options.output, _say, view=options.view, theme=options.theme, depth=options.depth)
    return code


def _say_failure(error: Exception, ours: Sequence[str], rest: Sequence[str]) -> None:
    """One sentence for what the user got wrong; the whole traceback where it was gradflow. With JSON a whole document in both cases."""
    is_bug = not isinstance(error, GradflowError) or isinstance(error, InvariantError)
    sentence, trace = str(error), ""
    if is_bug:
        import traceback

        trace = "".join(traceback.format_exception(error))
        sentence = f"gradflow itself failed, and this is a bug in gradflow, please report it: {type(error).__name__}: {error}"
        _say_text(trace)
    _say(f"error: {sentence}")
    if wants_json(ours):
        _write_failure_document(sentence, trace, rest, output_of(ours))


def _audited(options: argparse.Namespace, rest: Sequence[str]) -> Report:
    from gradflow.api import audit_script
    from gradflow.cli_orders import name_of, order_of
    from gradflow.cli_screen import joined, read_screen

    order = order_of(options, rest)
    _check_output(options.output)
    screen = read_screen(options)
    with progress(f"auditing {name_of(order)}", wanted=options.quiet_script or order.spec.is_attribute):
        report = audit_script(order.spec, **order.options, memory=(getattr(options, "memory", None) or 0) * 2**30)
    return screen.apply(joined(report, options), name_of(order))


def _audit_many(parser: _Parser, options: argparse.Namespace, ours: Sequence[str], rest: Sequence[str]) -> int:
    """Audits the files of a directory, or the targets that the settings list."""
    from gradflow.cli_orders import order_of, orders_of_folder

    check_pictures(options)
    if rest:
        orders = orders_of_folder(options, rest[0])
    else:
        tables = [table_words(table, folder) for folder, table in options.targets]
        orders = [order_of(parser.parse_args([*ours, *words]), target) for words, target in tables]
    _check_output(options.output)
    reports = audit_all(orders, options, _say)
    _write(_rendered(reports, options), options.output)
    write_page(reports, options.html)
    return exit_code(reports, _exit_code)


def _check_output(place: str) -> None:
    """Says that a report cannot be written there before minutes are spent on making it."""
    folder = os.path.dirname(os.path.abspath(place))
    if place and (not os.path.isdir(folder) or os.path.isdir(place)):
        raise TargetError(f"--output: expected a file in a directory that exists, found `{place}`")


def _deliver(report: Report, options: argparse.Namespace) -> int:
    """Says on standard error what the report on standard output does not say, and writes the report where there is one."""
    code = _exit_code(report)
    judged = code != NO_AUDIT
    tells_all = judged and options.format == "text" and not options.output
    if report.crash and not tells_all:
        _say_text(report.crash)
    if report.message:
        _say(report.message if judged else f"error: {report.message}")
    if judged and not tells_all:
        _say(f"audited {_KIND_WORDS.get(report.target.kind.value, 'it')}: {report.target.reproduce}")
        for note in report.notes:
            _say(f"note: {note}")
    if judged or options.format == "json":
        _write(_rendered(report, options), options.output)
    return code


_KIND_WORDS = {
    "script": "the script",
    "notebook": "the notebook",
    "command": "the command",
    "call": "a call that the script makes, with a made-up loss",
    "module": "the model",
    "class": "the class",
}


def _exit_code(report: Report) -> int:
    """0 also where the program was cut short after clean steps: it was audited, and the outcome `partial` says how far."""
    return {"clean": CLEAN, "partial": CLEAN, "findings": FINDINGS}.get(report.outcome.value, NO_AUDIT)


def _rendered(found: Report | Sequence[Report], options: argparse.Namespace) -> str:
    """One report, or those on several targets as one text."""
    from gradflow.render import Display, render, render_many

    to_file = bool(options.output)
    display = Display(
        width=100 if to_file else shutil.get_terminal_size((100, 24)).columns,
        color=options.color == "always" or (options.color == "auto" and not to_file and _has_color()),
        unicode=to_file or _speaks_unicode(sys.stdout.encoding),
        verbose=options.verbose,
        graph=options.graph,
        pages=pages_of_checks() if options.format == "sarif" else None,
        links="" if to_file else pathlib.Path.cwd().as_uri(),
    )
    return render_many(found, options.format, display) if isinstance(found, Sequence) else render(found, options.format, display)


def _has_color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _speaks_unicode(encoding: str | None) -> bool:
    return (encoding or "ascii").lower().replace("_", "-") in ("utf-8", "utf8", "utf-16", "utf-16-le", "utf-32")


def _write(text: str, place: str) -> None:
    if place:
        try:
            with open(place, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text)
        except OSError as error:
            raise TargetError(f"--output: `{place}` cannot be written: {error.strerror}") from error
        return
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _write_failure_document(sentence: str, trace: str, rest: Sequence[str], place: str) -> None:
    import shlex

    from gradflow.graph.target import Target, TargetKind
    from gradflow.report import Outcome, Report

    target = Target(TargetKind.SCRIPT, rest[0] if rest else "", shlex.join(["gradflow", "audit", *rest]))
    text = Report(Outcome.CRASHED if trace else Outcome.USAGE, target, message=sentence, crash=trace).to_json()
    writable = place and os.path.isdir(os.path.dirname(os.path.abspath(place))) and not os.path.isdir(place)
    _write(text, place if writable else "")


def _explain(code: str | None) -> int:
    from gradflow.checks.explain import explain

    _write(explain(code), "")
    return CLEAN


def _say(sentence: str) -> None:
    _say_text(f"gradflow: {sentence}\n")


def _say_text(text: str) -> None:
    encoding = sys.stderr.encoding or "ascii"
    sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stderr.flush()
