"""What a run has shown and what the source says, in one report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gradflow.graph.recording import Target, TargetKind
from gradflow.graph.site import Site
from gradflow.joining import with_static
from gradflow.linting import lint
from gradflow.report import Evidence, Finding, FindingSite, Outcome, ParameterRow, Report, Role, Severity
from gradflow.verdict import Verdict

SOURCE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        with torch.no_grad():
            x = self.a(x)
        return self.c(self.b(x))


loss = Net()(torch.ones(1, 2)).sum()
loss.backward()
"""
BLOCK = Site("train.py", 11, 9, 11, 30, "Net.forward", source="        with torch.no_grad():")
SEVERED = Finding(
    "GF101",
    "severed-parameter",
    Severity.ERROR,
    "2 parameters are cut off",
    ("net.a.weight", "net.a.bias"),
    sites=(FindingSite(Role.CAUSE, BLOCK),),
    reason="no-grad",
)


def row(name: str, verdict: Verdict) -> ParameterRow:
    return ParameterRow(name, "net", (2, 2), 4, "float32", True, verdict, (0, 1), None, (), None, None)


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """A run of `train.py` in which nothing was found."""
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SOURCE, "utf-8")
    return Report(Outcome.CLEAN, Target(TargetKind.SCRIPT, "train.py", "gradflow audit train.py"))


def test_a_finding_of_the_run_carries_what_the_source_says_of_the_same_cause(report: Report) -> None:
    (finding,) = with_static(replace(report, findings=(SEVERED,))).findings
    assert finding.evidence is Evidence.RUN and finding.fingerprint == SEVERED.fingerprint
    assert finding.notes == ("the source says so too: `a` is cut off from what `forward` returns by `torch.no_grad()`",)


def test_what_only_the_source_says_is_added_as_such(report: Report) -> None:
    joined = with_static(report)
    assert joined.findings == lint("train.py").findings != ()
    assert {finding.evidence for finding in joined.findings} == {Evidence.SOURCE}
    assert joined.notes == ("the source was read too: 1 finding in 1 file",)


def test_what_the_run_contradicts_is_left_out_and_said(report: Report) -> None:
    joined = with_static(replace(report, parameters=(row("net.a.weight", Verdict.LIVE), row("net.a.bias", Verdict.ZERO))))
    assert joined.findings == ()
    assert joined.notes[-1] == "1 of them is left out: the run brought a gradient there"
    other = with_static(replace(report, parameters=(row("net.a.weight", Verdict.LIVE), row("net.a.bias", Verdict.SEVERED))))
    assert [finding.code for finding in other.findings] == ["GF101"]


def test_a_comment_in_the_source_silences_the_source_too(report: Report) -> None:
    Path("train.py").write_text(SOURCE.replace("no_grad():", "no_grad():  # gradflow: ignore[GF101] frozen"), "utf-8")
    joined = with_static(report)
    assert joined.findings == () and [finding.code for finding in joined.suppressed] == ["GF101"]


def test_a_target_without_a_file_is_said_not_to_be_read(report: Report) -> None:
    joined = with_static(replace(report, target=Target(TargetKind.API, "", "gradflow.audit(Net)")))
    assert joined.notes == ("the source was not read: the audited file is not there",)
