"""Reports on several targets in one output: for people, for editors and code hosts, and as a page."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import flow_examples
import html5lib
import jsonschema
import pytest
import report_examples as examples
from rich.cells import cell_len
from test_machine_formats import hostile_report, html_in, sarif_schema
from test_pictures import HOSTILE, renamed

import gradflow.pictures
from gradflow.document import reports_from_json
from gradflow.draw import DrawingFailed
from gradflow.errors import UsageError
from gradflow.graph.recording import Target, TargetKind
from gradflow.pictures import pages
from gradflow.render import FORMATS, Display, render, render_many
from gradflow.render.results import result_of, sentence_on
from gradflow.report import Outcome, Report


def aimed(report: Report, file: str, attribute: str = "") -> Report:
    """`report` as if `file`, or a model in it, had been audited."""
    word = f"{file}:{attribute}" if attribute else file
    return replace(report, target=Target(TargetKind.SCRIPT, file, f"gradflow audit --seed 1 {word}"))


REPORTS = [
    aimed(examples.no_grad_report(), "train/first.py"),
    aimed(examples.clean_report(), "train/second.py"),
    aimed(examples.no_grad_report(), "train/first.py", "Net"),
    aimed(examples.crashed_report(), "train/third.py"),
]


def test_a_target_is_named_as_on_a_command_line() -> None:
    assert [result_of(report).name for report in REPORTS] == ["train/first.py", "train/second.py", "train/first.py:Net", "train/third.py"]


def test_the_text_tells_each_target_and_ends_in_a_table() -> None:
    text = render_many(REPORTS, "text", Display(width=100))
    short, _, table = text.partition("\ntarget ")
    assert short.count("error[GF101]: ") == 2 and "train/second.py: clean" in short and "raised" in short
    assert [line.split() for line in table.splitlines()[1:5]] == [
        ["train/first.py", "findings", "2", "of", "8", "1", "0"],
        ["train/second.py", "clean", "4", "of", "6", "0", "0"],
        ["train/first.py:Net", "findings", "2", "of", "8", "1", "0"],
        ["train/third.py", "crashed", "0", "0"],
    ]
    assert text.endswith("\n4 targets: 1 clean, 2 with findings, 1 crashed. Found 2 errors.\n")


def test_verbose_shows_each_report_in_full() -> None:
    text = render_many(REPORTS, "text", Display(verbose=True))
    assert all(render(report, "text", Display(verbose=True)) in text for report in REPORTS)


@pytest.mark.parametrize("width", [20, 40, 80])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_of_several_reports_is_wider_than_the_terminal(width: int, unicode: bool) -> None:
    text = render_many([*REPORTS, hostile_report()], "text", Display(width=width, unicode=unicode))
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert unicode or text.isascii()


def test_a_long_path_keeps_its_end_in_the_table() -> None:
    text = render_many([aimed(report, "a/very/long/way/" * 4 + f"{number}.py") for number, report in enumerate(REPORTS)], "text")
    assert text.count("/very/long/way/0.py  ") == 1


def test_colour_of_several_reports_adds_escapes_only() -> None:
    plain, colored = (render_many(REPORTS, "text", Display(color=color)) for color in (False, True))
    assert "\x1b[" in colored and "\x1b" not in plain


def test_what_two_targets_say_alike_is_one_line_and_one_result() -> None:
    assert render_many(REPORTS, "concise").count("GF101") == 1
    assert render_many(REPORTS, "github").count("::error") == 1
    document = json.loads(render_many(REPORTS, "sarif"))
    jsonschema.validate(document, sarif_schema())
    (run,) = document["runs"]
    (result,) = run["results"]
    assert result["occurrenceCount"] == 2 and [entry["executionSuccessful"] for entry in run["invocations"]] == [True, True, True, False]


def test_concise_tells_of_a_target_that_could_not_be_judged() -> None:
    lines = render_many(REPORTS, "concise").splitlines()
    assert lines[1].startswith("train/third.py: crashed: ") and len(lines) == 3


def test_the_json_is_one_document_of_all_reports() -> None:
    document = json.loads(render_many(REPORTS, "json"))
    assert set(document) == {"schema", "reports"} and reports_from_json(json.dumps(document)) == tuple(REPORTS)


def test_markdown_has_a_row_a_target_and_no_html_of_the_user() -> None:
    text = render_many([*REPORTS, hostile_report()], "markdown")
    assert text.count("\n| `") == 5
    ours = ("<details><summary>", "</details>", "<!-- -->")
    assert all(piece.startswith(ours) for piece in html_in(text))


@pytest.mark.parametrize("format", FORMATS)
def test_one_report_and_no_report_are_taken_by_every_format(format: str) -> None:
    assert render_many(REPORTS[:1], format).endswith("\n")
    with pytest.raises(UsageError, match="expected at least one report"):
        render_many([], format)


def test_an_unknown_format_of_several_reports_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a format out of text, concise"):
        render_many(REPORTS, "xml")


@pytest.mark.parametrize("outcome", Outcome)
def test_the_sentence_has_a_word_for_every_outcome(outcome: Outcome) -> None:
    assert sentence_on([replace(REPORTS[1], outcome=outcome)]).startswith("1 target: 1 ")


def parsed(text: str) -> Any:
    """The tree of a page that keeps the rules of HTML."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def test_the_page_has_a_row_and_a_section_with_a_picture_for_each_target() -> None:
    tree = parsed(pages([flow_examples.frozen_by_no_grad(), *REPORTS, flow_examples.gpt(4)]))
    links = [link.get("href") for link in tree.findall(".//td/a")]
    assert links == [f"#{section.get('id')}" for section in tree.findall(".//section")]
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) and tree.find(".//script") is None
    drawn = [element.tag for element in tree.find(".//section[@id='target5']").iter()]
    assert drawn.count("{http://www.w3.org/2000/svg}svg") == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_gets_out_of_its_place_in_a_page_of_several(text: str) -> None:
    tree = parsed(pages([renamed(flow_examples.frozen_by_no_grad(), text), hostile_report(text)]))
    assert tree.find(".//img") is None and tree.find(".//script") is None


def test_a_page_of_several_without_an_engine_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[bytes]:
        raise DrawingFailed("the picture needs Graphviz")

    monkeypatch.setattr(gradflow.pictures, "draw_all", fail)
    text = pages([flow_examples.frozen_by_no_grad(), flow_examples.gpt(3)])
    assert text.count("the picture needs Graphviz") == 1 and "<svg" not in text
