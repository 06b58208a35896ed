"""The terminal report on hand-built reports, as exact text. `GRADFLOW_UPDATE=1 pytest` writes the texts anew; the diff is to be read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import report_examples as examples
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from gradflow.errors import UsageError
from gradflow.graph.site import Site
from gradflow.render import FORMATS, Display, render
from gradflow.render.page import crop, wrap
from gradflow.render.text import render_text
from gradflow.report import Finding, FindingSite, Outcome, Report, Role, Severity
from gradflow.verdict import Verdict

EXPECTED = Path(__file__).parent / "expected"
REPORTS: dict[str, Callable[[], Report]] = {
    "no_grad": examples.no_grad_report,
    "gpt": examples.gpt_report,
    "clean": examples.clean_report,
    "crashed": examples.crashed_report,
}
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def plain(report: Report, width: int = 100, *, unicode: bool = True, verbose: bool = False) -> str:
    return render_text(report, width=width, color=False, unicode=unicode, verbose=verbose)


def assert_as_expected(name: str, text: str) -> None:
    file = EXPECTED / f"{name}.txt"
    if os.environ.get("GRADFLOW_UPDATE") == "1":
        file.write_bytes(text.encode())
    assert text == file.read_bytes().decode()


def widest(text: str) -> int:
    return max(cell_len(line) for line in text.splitlines())


@pytest.mark.parametrize("name", REPORTS)
def test_report_in_a_wide_terminal_is_the_expected_text(name: str) -> None:
    assert_as_expected(name, plain(REPORTS[name]()))


@pytest.mark.parametrize("name", REPORTS)
def test_report_in_ascii_and_40_columns_is_the_expected_text(name: str) -> None:
    text = plain(REPORTS[name](), 40, unicode=False)
    assert text.isascii()
    assert_as_expected(f"{name}_ascii_40", text)


def test_verbose_report_is_the_expected_text() -> None:
    assert_as_expected("gpt_verbose", plain(examples.gpt_report(), verbose=True))


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [1, 20, 33, 40, 61, 80, 140])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    assert widest(plain(REPORTS[name](), width)) <= max(width, 20)


@pytest.mark.parametrize("name", REPORTS)
def test_colour_adds_escapes_and_changes_no_character(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # the caller decides about the environment, not the renderer
    report = REPORTS[name]()
    colored = render_text(report, width=100, color=True, unicode=True)
    assert "\x1b[" not in plain(report)
    assert ANSI.search(colored)
    assert ANSI.sub("", colored) == plain(report)


def test_only_the_sixteen_named_colours_are_used() -> None:
    codes = {
        int(code)
        for match in ANSI.findall(render_text(examples.gpt_report(), width=100, color=True, unicode=True))
        for code in re.findall(r"\d+", match)
    }
    assert codes <= {0, 1, *range(30, 38), *range(90, 98)}


HOSTILE = "[red]a[/red] \x1b[31mb\x07\n\u202ec\u200b d\udc80 :smile: \x9b2J"


def hostile_report() -> Report:
    name = f"{HOSTILE}.weight"
    site = Site(f"{HOSTILE}.py", 3, 5, 3, 9, HOSTILE, HOSTILE, f"    x = 1 # {HOSTILE}")
    finding = Finding(
        "GF101",
        "severed-parameter",
        Severity.ERROR,
        HOSTILE,
        (name,),
        (FindingSite(Role.CAUSE, site, HOSTILE),),
        None,
        (HOSTILE,),
        (HOSTILE,),
    )
    info = replace(finding, severity=Severity.INFO)
    rows = (examples.row(name, Verdict.SEVERED, kind=HOSTILE), replace(examples.row("a.weight", Verdict.UNKNOWN), because=HOSTILE))
    target = replace(examples.target(), file=HOSTILE, reproduce=HOSTILE)
    return Report(Outcome.PARTIAL, target, rows, (finding, info), notes=(HOSTILE,), message=HOSTILE, crash=HOSTILE)


@pytest.mark.parametrize("format", ["text", "concise"])
@pytest.mark.parametrize("unicode", [True, False])
def test_control_characters_and_markup_of_the_user_are_shown_and_not_obeyed(format: str, unicode: bool) -> None:
    text = render(hostile_report(), format, Display(width=500, unicode=unicode, verbose=True))
    assert not set(text) & set("\x1b\x07\u202e\u200b\udc80\x9b")
    assert r"[red]a[/red] \x1b[31mb\x07" in text
    assert r"\u202ec\u200b d\udc80 :smile: \x9b2J" in text
    assert text.isascii() or unicode


def test_hostile_strings_in_colour_bring_no_escape_of_their_own() -> None:
    colored = render_text(hostile_report(), width=500, color=True, unicode=True, verbose=True)
    assert ANSI.sub("", colored) == plain(hostile_report(), 500, verbose=True)


def frame_of(*sites: FindingSite, width: int = 80) -> str:
    finding = Finding("GF101", "severed-parameter", Severity.ERROR, "cut", (), sites)
    text = plain(Report(Outcome.FINDINGS, examples.target(), findings=(finding,)), width)
    return text.partition("\n")[2].partition("\n\n")[0] + "\n"


def test_marks_stand_under_wide_characters_and_tabs() -> None:
    source = "\tx = f('日本').detach()"
    column = source.index(".detach") + 1
    text = frame_of(FindingSite(Role.CAUSE, Site("a.py", 7, column, 7, column + 9, source=source)))
    code, marks = text.splitlines()[2:4]
    assert code[3:] == "     x = f('日本').detach()"
    assert cell_len(code.partition(".detach()")[0]) == marks.index("^")
    assert marks.count("^") == len(".detach()")


def test_far_sites_get_frames_of_their_own_and_the_cause_stands_first() -> None:
    definition = FindingSite(Role.DEFINITION, Site("net.py", 5, 9, 5, 17, source="        self.fc1 = Linear(8, 8)"), "made here")
    cause = FindingSite(Role.CAUSE, Site("net.py", 140, 5, 5, 0, source="    x = x.detach()"), "cut here")
    text = frame_of(definition, cause)
    assert text.index("--> net.py:140") < text.index("cut here") < text.index("::: net.py:5") < text.index("made here")
    assert "-------- made here" in text


def test_lines_left_out_between_marks_are_shown_as_dots() -> None:
    lines = {number: f"    line_{number}()" for number in range(1, 20)}
    sites = [examples.site_in(lines, number, f"line_{number}()", function="") for number in (4, 12)]
    assert_as_expected("frame_with_gap", frame_of(FindingSite(Role.CAUSE, sites[0], "first"), FindingSite(Role.LEAK, sites[1], "second")))


def test_span_over_several_lines_is_marked_on_each_with_the_note_at_the_end() -> None:
    lines = ((3, "y = torch.tensor("), (4, "    x.tolist(),"), (5, ")"))
    site = Site("a.py", 3, 5, 5, 2, source=lines[0][1], context=lines)
    assert_as_expected("frame_over_lines", frame_of(FindingSite(Role.CAUSE, site, "copies the values")))


def test_marked_text_beyond_the_right_edge_is_moved_into_view() -> None:
    source = "    value = " + "transform(" * 12 + "x.detach()" + ")" * 12
    column = source.index("x.detach()") + 1
    text = frame_of(FindingSite(Role.CAUSE, Site("a.py", 7, column, 7, column + 10, source=source)), width=60)
    code, marks = text.splitlines()[2:4]
    assert code[marks.index("^") : marks.rindex("^") + 1] == "x.detach()"


def test_site_without_source_is_named_with_its_note() -> None:
    assert frame_of(FindingSite(Role.CAUSE, Site("a.so", 1), "in compiled code")) == " --> a.so:1\n  = in compiled code\n"


def test_long_list_of_parameters_is_folded_and_complete_when_verbose() -> None:
    rows = tuple(entry for number in range(40) for entry in examples.linear(f"layer{number}", Verdict.SEVERED))
    rows += tuple(examples.row(f"layer{number}.scale") for number in range(40))
    finding = Finding("GF101", "severed-parameter", Severity.ERROR, "cut", tuple(entry.name for entry in rows))
    report = Report(Outcome.FINDINGS, examples.target(), rows, (finding,))
    assert "layer7.{weight,bias}, ... and 64 more" in re.sub(r"\s+", " ", plain(report))
    assert "layer39.{weight,bias}" in plain(report, verbose=True)
    assert "more" not in plain(report, verbose=True)


def test_modules_that_are_cut_off_as_a_whole_are_named_as_a_whole_in_a_long_list() -> None:
    names = [entry for stage in range(3) for layer in range(9) for entry in examples.linear(f"stage{stage}.{layer}", Verdict.SEVERED)]
    finding = Finding("GF101", "severed-parameter", Severity.ERROR, "cut", tuple(entry.name for entry in names[:-2]))
    rows = (*names[:-2], *examples.linear("stage2.8"), *examples.linear("head"))
    text = plain(Report(Outcome.FINDINGS, examples.target(), rows, (finding,)), 400)
    assert "= severed: stage0.* (18), stage1.* (18), stage2.0.* (2), stage2.1.* (2)" in text


def test_many_info_findings_are_counted_and_not_listed() -> None:
    infos = tuple(Finding("GF903", "conditional-parameter", Severity.INFO, f"expert {number} was not routed", ()) for number in range(30))
    text = plain(Report(Outcome.CLEAN, examples.target(), findings=infos))
    assert text.count("info[GF903]") == 10
    assert "... and 20 more of severity info" in text


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (Verdict.FROZEN, "No parameter is cut off: 2 of 4 parameters get a gradient, 2 are frozen."),
        (Verdict.SEVERED, "No error or warning: 2 of 4 parameters get a gradient, 2 are severed."),
    ],
)
def test_clean_report_claims_no_more_than_its_verdicts(verdict: Verdict, sentence: str) -> None:
    rows = (*examples.linear("a"), *examples.linear("b", verdict))
    assert plain(Report(Outcome.CLEAN, examples.target(), rows)).endswith(f"{sentence}\n")


def test_reason_of_an_unknown_verdict_is_told_once() -> None:
    rows = tuple(replace(entry, because="opt took no step") for entry in examples.linear("actor", Verdict.UNKNOWN))
    assert plain(Report(Outcome.PARTIAL, examples.target(), rows)).count("unknown: actor.{weight,bias}: opt took no step") == 1


def test_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"expected a format out of text, concise, json.*, found 'xml'"):
        render(examples.clean_report(), "xml")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_ends_in_a_line_feed_and_is_the_same_twice(format: str) -> None:
    text = render(examples.gpt_report(), format)
    assert text.endswith("\n")
    assert text == render(examples.gpt_report(), format)


def test_concise_is_one_line_a_finding_and_the_count() -> None:
    assert_as_expected("gpt_concise", render(examples.gpt_report(), "concise"))


@settings(max_examples=150, deadline=None)
@given(
    source=st.text(max_size=200),
    line=st.integers(1, 10**6) | st.just(10**30),
    column=st.integers(1, 250),
    size=st.integers(0, 250),
    lines=st.integers(0, 6),
    note=st.text(max_size=120),
    width=st.integers(0, 200),
    unicode=st.booleans(),
)
def test_any_site_is_rendered_within_the_width(
    source: str, line: int, column: int, size: int, lines: int, note: str, width: int, unicode: bool
) -> None:
    site = Site(
        source[:9], line, column, line + lines, column + size, source[:20], note[:5], source, ((line - 1, note), (line + 1, source))
    )
    finding = Finding("GF101", "severed-parameter", Severity.ERROR, note, (source,), (FindingSite(Role.CAUSE, site, note),))
    text = plain(Report(Outcome.FINDINGS, examples.target(), (examples.row(note),), (finding,)), width, unicode=unicode)
    assert widest(text) <= max(width, 20)
    assert text.isascii() or unicode


@settings(max_examples=300, deadline=None)
@given(text=st.text("ab -日❤\ufe0f\u0301👩🏽🇩🇪", max_size=60), width=st.integers(8, 30), indent=st.integers(0, 40))
def test_wrapped_text_keeps_every_character_and_fits(text: str, width: int, indent: int) -> None:
    lines = wrap(Text(text), width, indent)
    assert max(line.cell_len for line in lines) <= width
    assert "".join(line.plain for line in lines).replace(" ", "") == text.replace(" ", "")
    assert crop(Text(text), width, "…").cell_len <= width


def test_the_place_is_a_link_where_links_are_wanted_and_nowhere_else() -> None:
    report = examples.no_grad_report()
    linked = render_text(report, width=100, color=True, unicode=True, links="file:///home/me/my%20project")
    assert "file:///home/me/my%20project/net.py\x1b\\net.py:14, in Net.forward" in linked
    plain = render_text(report, width=100, color=False, unicode=True, links="file:///work")
    assert "file:" not in plain and "file:" not in render_text(report, width=100, color=True, unicode=True)
