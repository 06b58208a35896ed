"""`gradflow freeze`: its options, and what it does with them. What the program prints goes to standard error."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gradflow.cli_pictures import split_graph_words
from gradflow.cli_settings import seconds, seed, whole
from gradflow.errors import TargetCrashed, TargetError, UsageError

if TYPE_CHECKING:
    from gradflow.capture.launch.target import TargetSpec
    from gradflow.graph.freezing import FreezeComparison

HOOK = "gradflow_model"
EPILOG = """\
TARGET is one of
  file.py, notebook.ipynb, -m pkg.mod   a program that trains, with its arguments after --; its own training step is taken
                                        once for each way, each in a fork of the process
  file.py:attr, pkg.mod:attr            a model, as for `gradflow audit`; so is a file.py that defines gradflow_model()

exit codes: 0 measured, 2 could not measure"""


class Parser(Protocol):
    """A parser of the command line."""

    valued: set[str]

    def option(self, *names: str, **kwargs: object) -> None:
        """Adds an option."""

    def parse_args(self, words: Sequence[str]) -> argparse.Namespace:
        """The options in `words`."""


def add_freeze(commands: Any) -> Any:
    """The parser of `gradflow freeze`, added to `commands`."""
    parser = commands.add_parser(
        "freeze",
        help="freeze layers in every way, and say what each way does",
        usage="gradflow freeze TARGET --layer NAME [--layer 'encoder.*'] [options] [-- ARGS of the script]",
        description="Freezes layers of a model in every way that people use, takes one real step each, and compares.",
        epilog=EPILOG,
    )
    parser.option("--layer", action="append", default=[], metavar="NAME", help="path of a module to freeze, * allowed; repeatable")
    parser.option("--input", action="append", default=[], metavar="SPEC", help="input, as 'x=float32[2,3,32,32]'; repeatable")
    parser.option("--loss", default="", metavar="FILE.py:FUNCTION", help="loss(output) or loss(model, output)")
    parser.option("--step", type=whole, default=1, metavar="N", help="the training step of a program that is taken (default: 1)")
    parser.option("--timeout", type=seconds, default=120.0, metavar="SECONDS", help="for all of it (default: 120)")
    parser.option("--seed", type=seed, default=None, metavar="N", help="seed of all random numbers (default: 0 for a model alone)")
    parser.option("--quiet-script", action="store_true", help="drop what the program prints, which else goes to standard error")
    parser.option("--format", choices=("text", "json"), default="text", help="default: text")
    parser.option("-o", "--output", default="", metavar="FILE", help="write there instead of to standard output")
    return parser


def run_freeze(parser: Parser, words: Sequence[str], write: Callable[[str, str], None]) -> int:
    """Compares, hands the text and its place to `write`, returns the exit code.

    Raises:
        GradflowError: the target or an option is wrong, or the user's model raised.
    """
    ours, rest = split_graph_words(parser, words)
    options = parser.parse_args(ours)
    if not options.layer:
        raise UsageError("no layer to freeze: name at least one, as in `--layer lin1` or `--layer 'encoder.*'`")
    spec = _target(rest)
    comparison = _compared(spec, options)
    if options.format == "json":
        write(comparison.to_json(), options.output)
        return 0
    from gradflow.render.freezing import render_freezing

    speaks = bool(options.output) or (sys.stdout.encoding or "ascii").lower().replace("_", "-") in ("utf-8", "utf8")
    width = 100 if options.output else shutil.get_terminal_size((100, 24)).columns
    write(render_freezing(comparison, width, unicode=speaks), options.output)
    return 0


def _target(rest: Sequence[str]) -> TargetSpec:
    """The program or model that the words name; a file that defines the hook function stands for the model that it makes."""
    from gradflow.capture.launch.target import Form, TargetSpec, parse_target

    spec = parse_target(rest)
    if spec.form is Form.FILE and f"def {HOOK}(" in Path(spec.place).read_text("utf-8", "replace"):
        return TargetSpec(Form.FILE_ATTRIBUTE, spec.place, HOOK)
    return spec


def _compared(spec: TargetSpec, options: argparse.Namespace) -> FreezeComparison:
    from gradflow.capture.launch.inputs import parse_input
    from gradflow.freezing import compare_target

    inputs = tuple(parse_input(text) for text in options.input)
    if (inputs or options.loss) and not spec.is_attribute:
        option = "--input" if inputs else "--loss"
        raise UsageError(f"{option} goes with a model, as in `model.py:Net`; `{spec.place}` is run as a program, which has its own")
    folder = os.path.dirname(os.path.abspath(options.output))
    if options.output and (not os.path.isdir(folder) or os.path.isdir(options.output)):
        raise TargetError(f"--output: expected a file in a directory that exists, found `{options.output}`")
    try:
        return compare_target(
            spec,
            options.layer,
            step=options.step,
            timeout=options.timeout,
            inputs=inputs,
            loss=options.loss,
            seed=options.seed,
            quiet=options.quiet_script,
        )
    except TargetCrashed as error:
        sys.stderr.write(error.traceback)
        raise
