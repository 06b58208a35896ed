"""The pages of the checks, and the committed copies of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradflow.checks.base import all_checks
from gradflow.checks.explain import all_described, explain, pages
from gradflow.errors import UsageError

FOLDER = Path(__file__).parents[2] / "docs" / "checks"


def test_the_committed_pages_are_those_that_the_docstrings_give() -> None:
    committed = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}
    assert committed == pages(), "stale: run `python -m gradflow.checks.explain docs/checks`"


def test_a_page_opens_with_code_name_summary_and_severity() -> None:
    assert explain("GF101").splitlines()[:5] == [
        "# GF101 severed-parameter",
        "",
        "A parameter's value reaches the loss, but no gradient comes back to it.",
        "",
        "Severity: error, unless said otherwise below.",
    ]


def test_a_code_is_understood_in_any_case() -> None:
    assert explain("gf102") == explain("GF102")


def test_without_a_code_every_check_is_listed_on_a_line() -> None:
    lines = explain(None).splitlines()
    assert [line.split()[:2] for line in lines] == [[entry.CODE, entry.NAME] for entry in all_described()]


def test_an_unknown_code_is_answered_with_the_codes_there_are() -> None:
    with pytest.raises(UsageError, match="expected the code of a check, found 'GF999': the codes are GF101, GF102"):
        explain("GF999")


def test_codes_that_only_lint_says_have_pages_too() -> None:
    assert {entry.CODE for entry in all_described()} - {check.CODE for check in all_checks()} == {"GF401", "GF402", "GF403"}
    assert "## Use instead" in explain("GF401")
