"""What a run with made-up inputs may say: unreached is a warning, and only after other calls; a cut with its line stays an error."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from gradflow.api import build_report
from gradflow.capture.launch.attribute import audit_file
from gradflow.capture.launch.job import Job
from gradflow.capture.launch.target import Form, TargetSpec
from gradflow.errors import NothingToAudit
from gradflow.graph.recording import Target, TargetKind
from gradflow.report import Report, Severity

HEAD = "import torch\nfrom torch import nn\n"


def audited(folder: Path, text: str) -> Report:
    """The report on a file that only defines classes, run in this process."""
    path = folder / "model.py"
    path.write_text(HEAD + text)
    module = types.ModuleType("model_of_a_test")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
        target = Target(TargetKind.SCRIPT, "model.py", "gradflow audit model.py")
        job = Job(TargetSpec(Form.FILE, "model.py"), target, 3, (), "", "", "", seconds=40.0)
        return build_report(audit_file(module, job, target))
    finally:
        del sys.modules[module.__name__]


NET = """
class Net(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.body, self.extra = nn.Linear(4, dim), nn.Linear(dim, dim)
    def forward(self, x{argument}):
        x = self.body(x)
        {body}
"""

BROKEN = """
class {name}(nn.Module):
    def __init__(self):
        raise ValueError("no luck")
    def forward(self, x):
        return {body}
"""


def test_what_only_an_optional_input_reaches_is_reached(tmp_path: Path) -> None:
    body = "return x if context is None else x + self.extra(context)"
    report = audited(tmp_path, NET.format(argument=", context=None", body=body))
    assert {finding.severity for finding in report.findings} <= {Severity.INFO}
    assert {row.verdict.value for row in report.parameters} == {"live"}


def test_what_only_eval_mode_reaches_is_reached(tmp_path: Path) -> None:
    report = audited(tmp_path, NET.format(argument="", body="return x if self.training else self.extra(x)"))
    assert {row.verdict.value for row in report.parameters} == {"live"}


def test_what_no_call_reaches_is_a_warning_that_names_the_inputs(tmp_path: Path) -> None:
    report = audited(tmp_path, NET.format(argument="", body="return x"))
    assert report.ok
    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("GF102", Severity.WARNING)
    assert finding.message == "`extra` is not reached with inputs x=float32[2,4] (2 parameters)"


def test_a_cut_with_its_line_stays_an_error(tmp_path: Path) -> None:
    report = audited(tmp_path, NET.format(argument="", body="return self.extra(x.detach())"))
    (finding,) = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert (finding.code, finding.reason, finding.parameters) == ("GF101", "detach", ("body.weight", "body.bias"))
    assert "detach" in finding.sites[0].site.source


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_what_only_made_up_inputs_cut_off_is_a_warning(tmp_path: Path) -> None:
    body = "return torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=True).sum() + self.extra(torch.ones(8)).sum()"
    text = NET.format(argument="", body="return x").replace("x = self.body(x)\n        return x", body)
    report = audited(tmp_path, f"import torch.utils.checkpoint\n{text}")
    (finding,) = [finding for finding in report.findings if finding.severity is not Severity.INFO]
    assert (finding.code, finding.reason, finding.severity) == ("GF101", "reentrant-checkpoint", Severity.WARNING)


def test_another_class_than_the_main_one_is_told_with_the_reason(tmp_path: Path) -> None:
    report = audited(tmp_path, NET.format(argument="", body="return self.extra(x)") + BROKEN.format(name="Whole", body="Net()(x)"))
    assert report.notes[0] == "audited `Net`; could not build `Whole`: ValueError: no luck"
    assert report.target.kind is TargetKind.CLASS
    assert report.target.reproduce == "gradflow audit --input 'x=float32[2,4]' model.py:Net"


def test_a_model_in_a_variable_comes_before_classes(tmp_path: Path) -> None:
    report = audited(tmp_path, NET.format(argument="", body="return self.extra(x)") + "\nbig = Net(32)\n")
    assert report.target.reproduce == "gradflow audit --input 'x=float32[2,4]' model.py:big"
    assert report.parameters[0].shape == (32, 4)


def test_a_file_of_which_nothing_can_be_built_says_why(tmp_path: Path) -> None:
    with pytest.raises(NothingToAudit, match="could not build `Net`: ValueError: no luck; give its arguments, as in --init"):
        audited(tmp_path, BROKEN.format(name="Net", body="x"))


DETECTOR = """
class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.score, self.box = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 4)
    def forward(self, x{argument}):
        x = self.body(x)
        scores = self.score(x)
        best = scores.argmax(0, keepdim=True).expand(-1, 8)
        found = self.box(x.gather(0, best))
        {more}
        return found
"""


@pytest.mark.parametrize(
    ("argument", "more", "severity"),
    [
        (", targets=None", "if targets is not None: raise ValueError('not these')", Severity.WARNING),
        (", targets: 'list[dict[str, torch.Tensor]] | None' = None", "if targets is not None: targets.none()", Severity.WARNING),
        (", labels: 'torch.Tensor' = None", "if labels is not None: raise ValueError('not these')", Severity.ERROR),
        ("", "", Severity.ERROR),
    ],
)
def test_a_cut_is_an_error_unless_a_loss_of_the_models_own_may_go_around_it(
    tmp_path: Path, argument: str, more: str, severity: Severity
) -> None:
    report = audited(tmp_path, DETECTOR.format(argument=argument, more=more))
    (cut,) = [finding for finding in report.findings if finding.code == "GF101"]
    assert (cut.severity, set(cut.parameters)) == (severity, {"score.bias", "score.weight"})
    assert any("the model's own, with `targets`" in note for note in cut.notes) is (severity is Severity.WARNING)


def test_what_a_detectors_own_loss_takes_is_reached(tmp_path: Path) -> None:
    loss = "if labels is not None: found = found + sum(scores.mean() * one['boxes'].mean() for one in labels)"
    report = audited(tmp_path, DETECTOR.format(argument=", labels: 'list[dict] | None' = None", more=loss))
    assert [finding.code for finding in report.findings if finding.severity is not Severity.INFO] == []
