"""The report's document form: schema, round trips, refusals, files, and what reading a report imports."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import networkx
import pytest

sys.path.insert(0, str(Path(__file__).parent / "test_render"))
import report_examples as examples

from gradflow.document import reports_from_json, reports_to_json
from gradflow.errors import UsageError
from gradflow.report import Outcome, Report

SCHEMA = json.loads(files("gradflow").joinpath("schema.json").read_text("utf-8"))
TOP_LEVEL = ["schema", "outcome", "target", "steps", "parameters", "findings"]
REPORTS = [examples.no_grad_report(), examples.gpt_report(), examples.clean_report(), examples.crashed_report()]


def validate(document: Any) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.target.file)
@pytest.mark.parametrize("graph", [False, True])
def test_document_is_as_the_schema_says_and_has_every_top_level_key(report: Report, graph: bool) -> None:
    document = json.loads(report.to_json(graph=graph))
    validate(document)
    assert list(document)[: len(TOP_LEVEL)] == TOP_LEVEL
    assert ("graph" in document) is graph


@pytest.mark.parametrize("outcome", Outcome)
def test_empty_report_of_any_outcome_has_every_top_level_key(outcome: Outcome) -> None:
    document = json.loads(Report(outcome, examples.target()).to_json())
    validate(document)
    assert document["parameters"] == document["findings"] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["outcome"], "fine"),
        (["schema"], "gradflow/2"),
        (["parameters", 0, "verdict"], "dead"),
        (["parameters", 0, "live_in"], [1]),
        (["findings", 0, "severity"], "fatal"),
        (["findings", 0, "sites", 0, "line"], "14"),
        (["findings", 0, "sites", 0, "role"], "place"),
        (["steps", "backward"], None),
    ],
)
def test_schema_and_reader_both_refuse_what_is_no_report(path: list[Any], value: Any) -> None:
    document = json.loads(examples.no_grad_report().to_json())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(document)
    with pytest.raises(UsageError, match=str(path[-1])):
        Report.from_json(json.dumps(document))


@pytest.mark.parametrize("key", [*TOP_LEVEL])
def test_schema_and_reader_both_refuse_a_document_without_a_promised_key(key: str) -> None:
    document = json.loads(examples.no_grad_report().to_json())
    del document[key]
    with pytest.raises(jsonschema.ValidationError):
        validate(document)
    with pytest.raises(UsageError, match=key):
        Report.from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected JSON"),
        ("[]", "expected an object at the top level, found \\[\\]"),
        ("[" * 100_000, "nested too deep|expected JSON"),
        ('{"schema": "gradflow/1", "reports": []}', "reports_from_json"),
    ],
)
def test_text_that_is_no_report_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Report.from_json(text)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.target.file)
def test_report_comes_back_from_its_document(report: Report) -> None:
    back = Report.from_json(report.to_json())
    assert back == report
    assert back.flow.nodes == ()
    assert back.to_json() == report.to_json()


def test_flow_graph_comes_back_exactly_where_it_was_asked_for() -> None:
    report = examples.no_grad_report()
    back = Report.from_json(report.to_json(graph=True))
    assert back.to_json(graph=True) == report.to_json(graph=True)
    assert (back.flow.nodes, back.flow.sources, back.flow.kinds, back.flow.losses) == (
        report.flow.nodes,
        report.flow.sources,
        report.flow.kinds,
        report.flow.losses,
    )
    assert [replace(site, context=()) for site in report.flow.sites] == list(back.flow.sites)


def test_graph_in_the_document_is_networkx_node_link_form() -> None:
    report = examples.no_grad_report()
    read = networkx.node_link_graph(json.loads(report.to_json(graph=True))["graph"], edges="edges")
    assert dict(read.nodes(data=True)) == dict(report.graph.nodes(data=True))
    assert list(read.edges(data=True)) == list(report.graph.edges(data=True))


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [("kinds", [7], "expected 0, 1 or 2"), ("losses", [999], "loss 999 is no node"), ("sources", [10**30], "does not hold together")],
)
def test_graph_that_does_not_hold_together_is_refused(key: str, value: list[int], sentence: str) -> None:
    document = json.loads(examples.no_grad_report().to_json(graph=True))
    document["graph"]["graph"]["flow"][key] = value
    with pytest.raises(UsageError, match=sentence):
        Report.from_json(json.dumps(document))


def test_graph_that_names_a_parameter_too_many_is_refused() -> None:
    document = json.loads(examples.no_grad_report().to_json(graph=True))
    document["parameters"] = document["parameters"][:2]
    with pytest.raises(UsageError, match="the graph names parameter 6, found 2 parameters"):
        Report.from_json(json.dumps(document))


def test_norm_that_is_not_finite_is_written_as_null() -> None:
    report = replace(examples.clean_report(), parameters=(examples.history_row(),))
    text = report.to_json()
    document = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert document["parameters"][0]["grad_norm"] is None
    assert [step["grad_norm"] for step in document["parameters"][0]["history"]] == [0.25, None]


def test_unknown_fields_are_passed_over() -> None:
    report = examples.no_grad_report()
    document = json.loads(report.to_json())
    for place in (document, document["parameters"][0], document["findings"][0], document["findings"][0]["sites"][0]):
        place["added_later"] = {"x": 1}
    validate(document)
    assert Report.from_json(json.dumps(document)) == report


def test_file_name_that_is_no_unicode_comes_back() -> None:
    report = Report(Outcome.CLEAN, examples.target("caf\udce9\x1b\u202e.py"))
    assert report.to_json().isascii()
    assert Report.from_json(report.to_json()) == report


def test_several_reports_make_one_document() -> None:
    text = reports_to_json(REPORTS)
    validate(json.loads(text))
    assert list(reports_from_json(text)) == REPORTS
    assert reports_from_json(REPORTS[0].to_json()) == (REPORTS[0],)


def test_save_writes_the_format_of_the_suffix(tmp_path: Path) -> None:
    report = examples.no_grad_report()
    report.save(tmp_path / "report.json")
    report.save(str(tmp_path / "report.txt"))
    assert Report.from_json((tmp_path / "report.json").read_text("utf-8")) == report
    assert (tmp_path / "report.txt").read_text("utf-8") == report._repr_mimebundle_()["text/plain"]


def test_save_with_another_suffix_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a file name that ends in one of \.json, .*, found '.*report\.xyz'"):
        examples.no_grad_report().save(tmp_path / "report.xyz")
    assert list(tmp_path.iterdir()) == []


def test_reading_and_rendering_import_neither_torch_nor_networkx() -> None:
    program = (
        "import sys; from gradflow.report import Report; from gradflow.render import FORMATS, render\n"
        "report = Report.from_json(sys.stdin.read())\n"
        "for format in FORMATS: render(report, format)\n"
        "print(sorted({'torch', 'networkx', 'numpy'} & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], input=examples.gpt_report().to_json(), capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "[]\n"
