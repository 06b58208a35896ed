"""The same fault in every spelling is found, and what only looks like it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import rewritings
from more_rewritings import BLIND, UNSURE
from read_files import codes_of, findings_of
from rewritings import BASES, BEFORE, CERTAIN, HEAD, INIT, LAYERS_IN_CONTAINERS, NOT_CERTAIN, model

from gradflow.report import Evidence, Finding, Role, Severity


def severed(findings: list[Finding]) -> set[str]:
    return {path for finding in findings if finding.code == "GF101" and finding.severity is Severity.ERROR for path in finding.parameters}


@pytest.mark.parametrize("name", CERTAIN)
def test_a_certain_cut_is_an_error_on_what_stands_before_it(name: str, tmp_path: Path) -> None:
    assert severed(findings_of(model(CERTAIN[name]), tmp_path)) == {"lin0", "lin1"}


@pytest.mark.parametrize("name", BEFORE)
def test_a_cut_in_what_the_file_defines_elsewhere_is_an_error(name: str, tmp_path: Path) -> None:
    before, methods = BEFORE[name]
    text = model(methods, before=before).replace("class Model(nn.Module)", f"class Model({BASES.get(name, 'nn.Module')})")
    assert severed(findings_of(text, tmp_path)) == {"lin0", "lin1"}


@pytest.mark.parametrize("name", LAYERS_IN_CONTAINERS)
def test_layers_are_found_however_they_are_registered(name: str, tmp_path: Path) -> None:
    build, call = LAYERS_IN_CONTAINERS[name]
    text = f"""{HEAD}
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 1)
        {build}

    def forward(self, x):
        x = self.first(x)
        with torch.no_grad():
            {call}
        return self.last(x)
"""
    found = severed(findings_of(text, tmp_path))
    assert "first" in found and "last" not in found
    assert any(path.startswith("layers") for path in found)


@pytest.mark.parametrize("name", NOT_CERTAIN)
def test_what_may_be_meant_or_may_learn_is_not_warned_about(name: str, tmp_path: Path) -> None:
    methods = NOT_CERTAIN[name]
    assert codes_of(model(methods, init="" if "__init__" in methods else INIT), tmp_path) == []


def test_the_finding_has_the_block_and_the_return_as_two_spans(tmp_path: Path) -> None:
    (finding,) = findings_of(model(CERTAIN["with block"]), tmp_path)
    assert finding.evidence is Evidence.SOURCE
    assert [(entry.role, entry.site.source.strip()) for entry in finding.sites] == [
        (Role.CAUSE, "with torch.no_grad():"),
        (Role.LEAK, "return self.lin2(x)"),
    ]
    assert finding.cause is not None and finding.cause.function == "Model.forward"
    assert finding.reason == "no-grad"
    assert finding.message == "`lin0` and `lin1` are cut off from what `forward` returns by `torch.no_grad()`"
    assert "`self.lin1.requires_grad_(False)` in place of the block, so that `lin0` learns" in finding.help[-1]


BASE = f"""{HEAD}
class Base(nn.Module):
    def middle(self, x):
        with torch.no_grad():
            return self.lin1(x)
"""


def test_a_base_of_another_file_is_followed(tmp_path: Path) -> None:
    findings_of(BASE, tmp_path, "pkg/base.py")
    findings_of("from .base import Base\n", tmp_path, "pkg/__init__.py")
    text = model("\n    def forward(self, x):\n        return self.lin2(self.middle(self.lin0(x)))", before="from . import Base")
    found = findings_of(text.replace("class Model(nn.Module)", "class Model(Base)"), tmp_path, "pkg/model.py")
    assert severed(found) == {"lin0", "lin1"}
    assert found[0].cause is not None and found[0].cause.file.endswith("pkg/base.py")


def test_there_are_as_many_spellings_as_the_analyzer_promises() -> None:
    assert len(CERTAIN) + len(BEFORE) + len(LAYERS_IN_CONTAINERS) >= 60
    assert len(NOT_CERTAIN) >= 20
    assert rewritings.BASES.keys() <= BEFORE.keys()


@pytest.mark.parametrize("name", BLIND)
def test_a_cut_in_other_words_is_found(name: str, tmp_path: Path) -> None:
    found = [finding for finding in findings_of(BLIND[name], tmp_path) if finding.severity is not Severity.INFO]
    paths = {path for finding in found for path in finding.parameters}
    assert [finding.code for finding in found] == ["GF101"] * len(found)
    assert {path.rpartition(".")[2] for path in paths} <= {"lin0", "lin1", "0", "1"}
    assert paths & {"lin0", "net.0"}


@pytest.mark.parametrize("name", UNSURE)
def test_a_cut_that_the_source_does_not_decide_is_no_warning(name: str, tmp_path: Path) -> None:
    assert codes_of(UNSURE[name], tmp_path) == []


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("constructor flag, if", "`freeze` is true"),
        ("constructor flag, set_grad_enabled", "`freeze` is true"),
        ("forward flag, conditional context", "`flag` is true"),
        ("forward flag, ExitStack", "`flag` is true"),
        ("inference_mode of a flag", "`flag` is true"),
        ("forward flag, detach in an expression", "`flag` is true"),
    ],
)
def test_a_cut_that_depends_on_one_flag_is_info_with_its_value(name: str, condition: str, tmp_path: Path) -> None:
    (finding,) = findings_of(UNSURE[name], tmp_path)
    assert finding.severity is Severity.INFO and finding.message.endswith(f" when {condition}")
    assert finding.parameters == ("lin0", "lin1")
