"""The commands that write pictures and other formats: their options, the words before and after TARGET, and the files they write."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gradflow.errors import TargetError, UsageError

if TYPE_CHECKING:
    from gradflow.report import Report

PICTURES = ("svg", "png", "pdf", "html", "dot")
THEMES = ("light", "dark")
WITHOUT_GRAPH = (
    "expected a report that was made with `gradflow audit --format json --graph`, found one without its flow graph: a picture needs it"
)

Say = Callable[[str], None]


class Options(Protocol):
    """What the parser of the command line offers."""

    valued: set[str]

    def option(self, *names: str, **kwargs: object) -> None:
        """Adds an option."""


def add_audit_pictures(parser: Options) -> None:
    """The options of `audit` that write pictures beside the report."""
    for suffix in PICTURES:
        what = "the report as a page" if suffix == "html" else f"the picture as {suffix.upper()}"
        parser.option(f"--{suffix}", default="", metavar="FILE", help=f"write {what} there too")


def add_view_options(parser: Options) -> None:
    """What the picture shows, and how."""
    parser.option("--view", default="modules", metavar="V", help="modules, module:NAME, operations, autograd or heatmap (default: modules)")
    parser.option("--theme", choices=THEMES, default="light", help="default: light")
    parser.option("--depth", type=int, default=None, metavar="N", help="open all modules N levels down (default: those with a cut)")


def add_convert_options(parser: Any, formats: Sequence[str], colors: Sequence[str]) -> None:
    """The words of `convert`."""
    parser.add_argument("report", metavar="REPORT.json", help="a report in JSON; a picture needs one made with --graph")
    parser.option("--format", choices=(*formats, *PICTURES), required=True, help="the format to write")
    parser.option("-o", "--output", default="", metavar="FILE", help="write there instead of to standard output")
    parser.option("--verbose", action="store_true", help="fold nothing")
    parser.option("--graph", action="store_true", help="keep the flow graph in the JSON")
    parser.option("--color", choices=colors, default="auto", help="default: auto, on a terminal and without NO_COLOR")
    add_view_options(parser)


def add_diff_options(parser: Any) -> None:
    """The words of `diff`."""
    parser.add_argument("old", metavar="OLD.json", help="a report in JSON")
    parser.add_argument("new", metavar="NEW.json", help="a later one of the same program")
    parser.option("--format", choices=("text", "json", "markdown"), default="text", help="default: text")
    parser.option("--factor", type=_factor, default=10.0, metavar="X", help="tell gradient norms that moved by more (default: 10)")
    parser.option("-o", "--output", default="", metavar="FILE", help="write there instead of to standard output")


def diff(options: Any) -> tuple[str, bool]:
    """(the text of the difference, whether something died)."""
    from gradflow.difference import compare
    from gradflow.render.diff import render_diff

    found = compare(read_report(options.old), read_report(options.new), factor=options.factor)
    return render_diff(found, options.format), bool(found.died)


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value < 1e300:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, found {text!r}")
    return value


def split_graph_words(parser: Options, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(our options, TARGET and the arguments of the script). Ours stand on either side of TARGET, the script's after `--`."""
    before = list(words[: words.index("--")]) if "--" in words else list(words)
    script = list(words[len(before) + 1 :])
    ours: list[str] = []
    target: list[str] = []
    index = 0
    while index < len(before):
        word = before[index]
        size = 2 if word in parser.valued or word == "-m" else 1
        (target if word == "-m" or not word.startswith("-") or word == "-" else ours).extend(before[index : index + size])
        index += size
    extra = target[2:] if target[:1] == ["-m"] else target[1:]
    if extra:
        raise UsageError(f"expected one TARGET, found {extra[0]!r} after it; arguments of the script stand after `--`")
    return ours, target + script


def format_of(place: str) -> str:
    """The format that the suffix of a file names."""
    suffix = Path(place).suffix.lower().removeprefix(".")
    if suffix not in (*PICTURES, "json"):
        raise UsageError(f"--output: expected a file that ends in one of .{', .'.join(PICTURES)}, .json, found `{place}`")
    return suffix


def check_places(places: Sequence[tuple[str, str]]) -> None:
    """Says that a picture cannot be written before minutes are spent on the audit. Each place as (option, file)."""
    for option, place in places:
        folder = os.path.dirname(os.path.abspath(place))
        if not os.path.isdir(folder) or os.path.isdir(place):
            raise TargetError(f"{option}: expected a file in a directory that exists, found `{place}`")


def check_view(view: str) -> None:
    """Says that there is no such view before minutes are spent on the audit."""
    from gradflow.views import VIEWS

    if view not in VIEWS and not view.startswith("module:"):
        raise UsageError(f"--view: expected one of {', '.join(VIEWS)}, found {view!r}")


def wants_backward_drawing(options: Any) -> bool:
    """Whether torchviz is to draw the backward graph in the run: for that view, and for a document from which it may be drawn later."""
    if hasattr(options, "view"):  # `gradflow graph`, whose file may be the document itself
        return bool(options.view == "autograd" or options.output.lower().endswith(".json"))
    return bool(options.graph)


def write_picture(report: Report, format: str, place: str, say: Say, **how: Any) -> None:
    """Writes one picture (to standard output where `place` is empty).

    Where no engine draws it, its DOT text is written beside `place`, and `say` is told why.
    """
    from gradflow.draw import DrawingFailed
    from gradflow.pictures import picture
    from gradflow.render.palette import Theme

    view = {**how, "theme": Theme(how["theme"])} if "theme" in how else how
    if not place:
        sys.stdout.buffer.write(picture(report, format, **view))
        sys.stdout.flush()
        return
    try:
        content = picture(report, format, **view)
    except DrawingFailed as error:
        beside = str(Path(place).with_suffix(".dot"))
        write_bytes(beside, picture(report, "dot", **view))
        say(f"{error}; its DOT text is in `{beside}`")
        return
    write_bytes(place, content)


def write_bytes(place: str, content: bytes) -> None:
    """Writes a file, or raises TargetError with the reason."""
    try:
        Path(place).write_bytes(content)
    except OSError as error:
        raise TargetError(f"`{place}` cannot be written: {error.strerror}") from error


def convert_report(options: Any, write: Callable[[Report | tuple[Report, ...]], None], say: Say) -> None:
    """Writes the report or the reports of a document in another format: `write` does it for texts.

    Raises:
        UsageError: where it is no such document, or where a picture is asked for that cannot be made of it.
    """
    from gradflow.document import read_json

    found = read_json(_read(options.report))
    if options.format not in PICTURES:
        write(found)
        return
    for report in found if isinstance(found, tuple) else (found,):
        _needs_graph(report)
    if not isinstance(found, tuple):
        write_picture(found, options.format, options.output, say, view=options.view, theme=options.theme, depth=options.depth)
        return
    if options.format != "html":
        raise UsageError(f"expected one report, found {len(found)}: a picture shows one program, `--format html` a page of all")
    from gradflow.pictures import pages

    if options.output:
        write_bytes(options.output, pages(found).encode())
    else:
        sys.stdout.buffer.write(pages(found).encode())
        sys.stdout.flush()


def read_report(place: str) -> Report:
    """The report in the JSON file `place`.

    Raises:
        UsageError: where it is no such report.
        TargetError: where the file cannot be read.
    """
    from gradflow.report import Report

    return Report.from_json(_read(place))


def _read(place: str) -> str:
    try:
        return Path(place).read_text("utf-8")
    except OSError as error:
        raise TargetError(f"`{place}` cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"expected a report in JSON, found that `{place}` is no text") from error


def _needs_graph(report: Report) -> None:
    """Raises UsageError for a report out of a file that holds no flow graph."""
    if report.parameters and not report.flow.nodes:
        raise UsageError(WITHOUT_GRAPH)


def pages_of_checks() -> dict[str, str]:
    """The page of each check in markdown, by code."""
    from gradflow.checks.explain import pages

    return {name.removesuffix(".md"): text for name, text in pages().items()}
