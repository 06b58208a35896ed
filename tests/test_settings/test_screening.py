"""What is left of a report's findings after comments, selection and baseline, and which outcome that gives. No torch, no run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradflow.baseline import Baseline, read_baseline, write_baseline
from gradflow.errors import UsageError
from gradflow.graph.recording import Target, TargetKind
from gradflow.graph.site import Site
from gradflow.report import Finding, FindingSite, Outcome, Report, Role, Severity
from gradflow.screening import FailOn, idle_ignores, screen, settle, split_suppressed
from gradflow.selection import Selection

TARGET = Target(TargetKind.SCRIPT, "train.py", "gradflow audit train.py")


def finding(
    code: str = "GF101", source: str = "z = h.detach()", line: int = 3, severity: Severity = Severity.ERROR, file: str = "net.py"
) -> Finding:
    site = Site(file, line, function="Net.forward", source=source)
    return Finding(code, "a-name", severity, f"`{source}` is wrong", ("lin.weight",), (FindingSite(Role.CAUSE, site),))


def report(*findings: Finding, outcome: Outcome = Outcome.CLEAN, suppressed: tuple[Finding, ...] = ()) -> Report:
    return Report(outcome, TARGET, findings=findings, suppressed=suppressed)


def test_a_comment_on_the_cause_line_suppresses_only_the_codes_that_it_names() -> None:
    meant = finding(source="z = h.detach()  # gradflow: ignore[GF101] a target")
    other = finding("GF301", source="opt = SGD(p)  # gradflow: ignore[GF101]")
    assert split_suppressed([meant, other]) == ((other,), (meant,))


def test_a_comment_at_the_end_of_a_statement_of_several_lines_counts() -> None:
    context = ((3, "z = torch.tensor("), (4, "    h"), (5, ")  # gradflow: ignore[GF101]"))
    site = Site("net.py", 3, end_line=5, source="z = torch.tensor(", context=context)
    meant = replace(finding(), sites=(FindingSite(Role.CAUSE, site),))
    beyond = replace(finding(), sites=(FindingSite(Role.CAUSE, replace(site, end_line=4)),))
    assert split_suppressed([meant, beyond]) == ((beyond,), (meant,))


def test_a_comment_on_the_line_of_a_leak_suppresses_nothing() -> None:
    leak = FindingSite(Role.LEAK, Site("net.py", 9, source="y = f(z)  # gradflow: ignore[GF101]"))
    plain = finding()
    assert split_suppressed([replace(plain, sites=(*plain.sites, leak))])[1] == ()


def test_the_report_says_how_many_were_suppressed() -> None:
    one, two = report(suppressed=(finding(),)), report(suppressed=(finding(), finding("GF301")))
    assert screen(one, Selection()).notes == ("1 finding is suppressed by `# gradflow: ignore` in the source",)
    assert screen(two, Selection()).notes == ("2 findings are suppressed by `# gradflow: ignore` in the source",)


def test_a_finding_that_is_not_selected_is_gone_and_does_not_fail() -> None:
    shown = settle(screen(report(finding("GF301")), Selection(ignore=("GF3",))), FailOn.ERROR)
    assert (shown.findings, shown.outcome) == ((), Outcome.CLEAN)


@pytest.mark.parametrize(
    ("level", "outcome"), [(FailOn.ERROR, Outcome.PARTIAL), (FailOn.WARNING, Outcome.FINDINGS), (FailOn.NEVER, Outcome.PARTIAL)]
)
def test_the_level_decides_and_else_the_outcome_says_how_the_run_ended(level: FailOn, outcome: Outcome) -> None:
    assert settle(report(finding(severity=Severity.WARNING), outcome=Outcome.PARTIAL), level).outcome is outcome


def test_only_new_findings_are_left_beside_a_baseline_and_the_known_are_one_line() -> None:
    old, new = [finding(source=f"a{n} = b.detach()") for n in range(12)], finding("GF301")
    baseline = read_baseline(write_baseline("train.py", old), "known.json")
    shown = settle(screen(report(*old, new), Selection(), baseline, target="train.py"), FailOn.ERROR)
    assert (shown.findings, shown.known, shown.outcome) == ((new,), tuple(old), Outcome.FINDINGS)
    assert shown.notes == ("12 known findings in baseline `known.json`",)
    assert settle(screen(report(*old), Selection(), baseline, target="train.py"), FailOn.ERROR).outcome is Outcome.CLEAN


def test_a_baseline_stays_true_when_lines_move() -> None:
    baseline = read_baseline(write_baseline("train.py", [finding(line=3)]), "known.json")
    assert baseline.knows(finding(line=90))
    assert not baseline.knows(finding(line=3, source="z = h.data"))


def test_a_fixed_finding_is_told_of_the_target_at_hand_only() -> None:
    text = write_baseline("other.py", [finding(file="other.py")])
    text = write_baseline("train.py", [finding()], read_baseline(text, "known.json"))
    baseline = read_baseline(text, "known.json")
    assert [entry.target for entry in baseline.entries] == ["other.py", "train.py"]
    notes = screen(report(), Selection(), baseline, target="train.py").notes
    assert notes == ("fixed since baseline `known.json`: GF101 `z = h.detach()` is wrong",)


@pytest.mark.parametrize("changes", [{"outcome": Outcome.PARTIAL}, {"suppressed": (finding(),)}])
def test_nothing_is_called_fixed_that_may_still_be_there(changes: dict[str, object]) -> None:
    baseline = read_baseline(write_baseline("train.py", [finding()]), "known.json")
    notes = screen(replace(report(), **changes), Selection(), baseline, target="train.py").notes  # type: ignore[arg-type]
    assert not any("fixed" in note for note in notes)


def test_of_many_fixed_findings_five_are_named() -> None:
    baseline = read_baseline(write_baseline("train.py", [finding(source=f"a{n}") for n in range(9)]), "b.json")
    notes = screen(report(), Selection(), baseline, target="train.py").notes
    assert len(notes) == 6 and notes[-1] == "fixed since baseline `b.json`: 4 more"


def test_a_baseline_holds_errors_and_warnings_and_is_the_same_text_each_time() -> None:
    found = [finding("GF102", severity=Severity.WARNING), finding("GF901", severity=Severity.INFO), finding()]
    text = write_baseline("train.py", found)
    assert text == write_baseline("train.py", reversed(found))
    assert [entry.code for entry in read_baseline(text, "b").entries] == ["GF101", "GF102"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "expected JSON, found a text that does not parse"),
        ('{"schema": "gradflow/1"}', "expected schema gradflow-baseline/1; `--write-baseline b.json` writes one"),
        ('{"schema": "gradflow-baseline/1", "findings": [{"code": "GF101"}]}', "expected a string at findings[0].fingerprint"),
        ('{"schema": "gradflow-baseline/1", "findings": [3]}', "expected a string at findings[0].fingerprint"),
    ],
)
def test_what_is_no_baseline_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        read_baseline(text, "b.json")
    assert str(error.value).startswith("--baseline: `b.json` is no baseline: ") and sentence in str(error.value)


def test_an_empty_baseline_knows_nothing() -> None:
    assert not Baseline("b.json").knows(finding())


def test_a_comment_without_effect_is_a_note() -> None:
    sources = {"net.py": "\n\nz = h.detach()  # gradflow: ignore[GF101, GF301]\nw = 1  # gradflow: ignore[GF101]\n"}
    meant = finding(source="z = h.detach()  # gradflow: ignore[GF101, GF301]")
    assert idle_ignores(report(suppressed=(meant,)), sources, ["GF101", "GF301"]) == (
        "`# gradflow: ignore[GF301]` suppressed nothing in this run (net.py:3)",
        "`# gradflow: ignore[GF101]` suppressed nothing in this run (net.py:4)",
    )


def test_a_comment_for_a_check_of_another_command_or_in_a_run_cut_short_is_no_note() -> None:
    sources = {"net.py": "w = 1  # gradflow: ignore[GF401]\n"}
    assert idle_ignores(report(), sources, ["GF101"]) == ()
    assert idle_ignores(report(outcome=Outcome.PARTIAL), sources, ["GF401"]) == ()


def test_a_comment_that_names_no_code_is_a_note() -> None:
    sources = {"net.py": "a = 1  # gradflow: ignore\nb = 1  # gradflow: ignore[detach]\n"}
    assert idle_ignores(report(), sources, ["GF101"]) == (
        "`# gradflow: ignore` has no effect: it names no code, as in `# gradflow: ignore[GF101]` (net.py:1)",
        "`# gradflow: ignore[detach]` has no effect: 'detach' is no code, as GF101 (net.py:2)",
    )
