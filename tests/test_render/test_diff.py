"""Two reports of one program: what died, what came alive, what is new, what is fixed, which norms moved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import flow_examples
import pytest
from test_machine_formats import html_in

from gradflow.cli import main
from gradflow.difference import Difference, NormChange, compare
from gradflow.render.diff import render_diff
from gradflow.report import Report
from gradflow.verdict import Verdict


def healthy() -> Report:
    """The article's program before the `with` block came in."""
    report = flow_examples.frozen_by_no_grad()
    rows = tuple(replace(row, verdict=Verdict.LIVE, grad_norm=0.1, live_in=(2, 2)) for row in report.parameters)
    return replace(report, parameters=rows, findings=())


def test_nothing_changed_between_a_report_and_itself() -> None:
    found = compare(healthy(), healthy())
    assert found.is_empty and render_diff(found, "text") == "Nothing changed.\n"


def test_what_died_is_told_with_its_finding() -> None:
    found = compare(healthy(), flow_examples.frozen_by_no_grad())
    assert [change.name for change in found.died] == ["lin0.weight", "lin0.bias", "lin1.weight", "lin1.bias"]
    assert render_diff(found, "text") == (
        "died: lin0.{weight,bias}, lin1.{weight,bias} (live to severed)\n"
        "new: GF101 4 parameters are cut off from the loss by `torch.no_grad()` (net.py:20)\n"
        "4 parameters died, 1 new finding.\n"
    )


def test_what_came_alive_is_told_with_what_was_fixed() -> None:
    text = render_diff(compare(flow_examples.frozen_by_no_grad(), healthy()), "text")
    assert "came alive: lin0.{weight,bias}, lin1.{weight,bias} (severed to live)\nfixed: GF101" in text
    assert text.endswith("No parameter died, 4 came alive, 1 fixed.\n")


def test_what_is_frozen_on_purpose_did_not_die() -> None:
    frozen = replace(healthy(), parameters=tuple(replace(row, verdict=Verdict.FROZEN) for row in healthy().parameters))
    found = compare(healthy(), frozen)
    assert not found.died and len(found.changed) == 6


def test_parameters_that_come_and_go_are_told() -> None:
    smaller = replace(healthy(), parameters=healthy().parameters[:-2])
    assert [row.name for row in compare(smaller, healthy()).added] == ["lin2.weight", "lin2.bias"]
    assert "removed: lin2.{weight,bias}" in render_diff(compare(healthy(), smaller), "text")


@pytest.mark.parametrize(("norm", "told"), [(0.011, False), (0.0099, True), (0.99, False), (1.01, True), (None, False), (0.0, False)])
def test_a_norm_is_told_beyond_the_factor(norm: float | None, told: bool) -> None:
    moved = replace(healthy(), parameters=(replace(healthy().parameters[0], grad_norm=norm), *healthy().parameters[1:]))
    expected = (NormChange("lin0.weight", 0.1, norm),) if told and norm is not None else ()
    assert compare(healthy(), moved).norms == expected


def test_the_json_has_every_key_and_no_more() -> None:
    document = json.loads(render_diff(Difference(), "json"))
    assert document.pop("schema") == "gradflow-diff/1"
    assert document == {key: [] for key in ("died", "revived", "changed", "added", "removed", "norms", "new_findings", "fixed_findings")}


def test_markdown_lets_no_name_out() -> None:
    rows = tuple(replace(row, name=f"<img src=x>`{row.name}") for row in healthy().parameters)
    dead = tuple(replace(row, verdict=Verdict.SEVERED) for row in rows)
    text = render_diff(compare(replace(healthy(), parameters=rows), replace(healthy(), parameters=dead)), "markdown")
    assert html_in(text) == [] and text.startswith("## gradflow diff\n\n6 parameters died.\n")


@pytest.mark.parametrize(
    ("words", "expected"), [(["old.json", "new.json"], 1), (["new.json", "old.json"], 0), (["old.json", "old.json"], 0)]
)
def test_the_command_exits_with_1_when_something_died(
    words: list[str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    healthy().save("old.json")
    flow_examples.frozen_by_no_grad().save("new.json")
    with pytest.raises(SystemExit) as ended:
        main(["diff", *words, "-o", "out.txt"])
    assert ended.value.code == expected and (tmp_path / "out.txt").read_text("utf-8")
