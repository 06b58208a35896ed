"""Every renderer at the ends of what it may be given: nothing, one parameter, ten thousand of them in one finding, lines without end."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import flow_examples
import html5lib
import jsonschema
import pytest
import report_examples as examples
from markdown_it import MarkdownIt
from rich.cells import cell_len
from test_machine_formats import sarif_schema

from gradflow.graph.site import Site
from gradflow.pictures import page, picture
from gradflow.render import FORMATS, Display, render
from gradflow.report import Finding, FindingSite, Outcome, Report, Role, Severity
from gradflow.verdict import Verdict


def huge() -> Report:
    """10,000 parameters, all in one finding, whose line and whose message are long."""
    rows = tuple(examples.row(f"layer{number // 4}.part{number % 4}.weight", Verdict.SEVERED) for number in range(10_000))
    line = "    x = " + "very_long_name + " * 40 + "y.detach()"
    site = Site("net.py", 7, line.index("y.detach") + 1, 7, len(line) + 1, "Net.forward", "", line, ((6, line), (7, line), (8, line)))
    names = tuple(row.name for row in rows)
    finding = Finding(
        "GF101", "severed-parameter", Severity.ERROR, "cut " * 200, names, (FindingSite(Role.CAUSE, site, "n" * 300),), help=("h" * 500,)
    )
    return replace(examples.clean_report(), parameters=rows, findings=(finding,), outcome=Outcome.FINDINGS)


def single() -> Report:
    """One parameter, and a loss."""
    program = flow_examples.Program()
    program.parameter("w", shape=())
    program.loss([program.call("mul", "", [], 2, uses=("w",))])
    return program.report()


REPORTS = {"nothing": Report(Outcome.NOTHING, examples.target()), "single": single(), "huge": huge()}


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("format", FORMATS)
def test_a_text_format_takes_it_and_gives_what_its_reader_reads(format: str, name: str) -> None:
    text = render(REPORTS[name], format, Display(width=80))
    assert text.endswith("\n")
    match format:
        case "sarif":
            jsonschema.validate(json.loads(text), sarif_schema())
        case "json":
            assert len(Report.from_json(text).parameters) == len(REPORTS[name].parameters)
        case "github":
            assert sum(line.startswith("::") for line in text.splitlines()) == len(REPORTS[name].findings)
        case "markdown":
            assert len(text) < 40_000 and MarkdownIt("commonmark").parse(text)
        case "text":
            assert max(map(cell_len, text.splitlines())) <= 80 and len(text.splitlines()) < 120


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_takes_it(name: str) -> None:
    html5lib.HTMLParser(strict=True).parse(page(REPORTS[name]))


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("view", ["modules", "operations", "autograd", "heatmap"])
def test_every_view_takes_it(view: str, name: str) -> None:
    ElementTree.fromstring(picture(REPORTS[name], "svg", view=view))


def test_the_picture_of_one_parameter_says_so() -> None:
    assert "The only parameter gets a gradient" in picture(single(), "dot").decode()
