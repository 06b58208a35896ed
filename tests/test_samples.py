"""The samples: real programs, audited from the command line as a user would, in the folder where they stand.

Each has its exact text report in `expected_samples/`, written anew by GRADFLOW_UPDATE=1; what matters in it is asserted apart, from the
JSON, so that nobody refreshes a wrong report into truth.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parent.parent / "samples"
EXPECTED = Path(__file__).parent / "expected_samples"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.py"))


def weights(*modules: str) -> frozenset[str]:
    """The names of the weight and the bias of each of `modules`."""
    return frozenset(f"{module}.{kind}" for module in modules for kind in ("weight", "bias"))


@dataclass(frozen=True)
class Fault:
    """What the audit must find in one sample, and nothing beside it: the one finding, its reason, its line and all its parameters."""

    code: str
    reason: str | None
    line: str
    verdict: str
    parameters: frozenset[str]
    severity: str = "error"


FAULTS = {
    "freeze_no_grad": Fault("GF101", "no-grad", "with torch.no_grad():", "severed", weights("lin0", "lin1")),
    "model": Fault("GF101", "no-grad", "with torch.no_grad():", "severed", weights("lin0", "lin1")),
    "gpt_detached_attention": Fault(
        "GF101", "detach", "y = y.detach()", "severed", weights("blocks.2.ln1", "blocks.2.attn.qkv", "blocks.2.attn.proj")
    ),
    "plain_list": Fault("GF103", None, "self.hidden = [", "live", weights("hidden[0]", "hidden[1]", "hidden[2]")),
    "loss_rebuilt": Fault(
        "GF105", None, "loss = torch.tensor(losses, requires_grad=True)", "severed", weights("backbone.0", "backbone.2", "boxes", "classes")
    ),
    "bert_made_in_forward": Fault(
        "GF104", None, "mixed = nn.Linear(dim, dim)(seen)", "live", weights("layers.0.attention.mixed", "layers.1.attention.mixed")
    ),
    "mbconv_unused_expansion": Fault(
        "GF102", None, "self.expand = nn.Sequential(", "unused", weights("blocks.0.expand.0", "blocks.0.expand.1"), "warning"
    ),
    "numpy_round_trip": Fault("GF101", "numpy", "array = energy.detach()", "severed", weights("filters")),
    "custom_function": Fault("GF106", None, "return grad * inside, None, None", "undefined", frozenset({"act1.step", "act2.step"})),
    "resnet_cut_stage": Fault(
        "GF101",
        "data",
        "self.stage2(x).data",
        "severed",
        weights("stem.1", "stage2.0.shortcut.1")
        | {"stem.0.weight", "stage2.0.shortcut.0.weight"}
        | {f"stage{s}.{b}.conv{k}.weight" for s in (1, 2) for b in (0, 1) for k in (1, 2)}
        | weights(*(f"stage{s}.{b}.bn{k}" for s in (1, 2) for b in (0, 1) for k in (1, 2))),
    ),
}

HEALTHY = sorted(set(NAMES) - set(FAULTS))


@cache
def audit(name: str, form: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of the audit of one sample."""
    quiet = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "PYTHONWARNINGS", "GRADFLOW_UPDATE")}
    run = subprocess.run(
        [sys.executable, "-m", "gradflow", "audit", "--format", form, f"{name}.py"],
        cwd=SAMPLES,
        env=quiet | {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    return run.returncode, run.stdout, run.stderr


def document(name: str) -> dict[str, Any]:
    """The JSON report of one sample."""
    report: dict[str, Any] = json.loads(audit(name, "json")[1])
    return report


def verdicts(name: str) -> dict[str, str]:
    """The verdict by parameter."""
    return {row["name"]: row["verdict"] for row in document(name)["parameters"]}


def loud(name: str) -> list[dict[str, Any]]:
    """The errors and warnings of one sample."""
    return [finding for finding in document(name)["findings"] if finding["severity"] != "info"]


def test_there_are_ten_samples_and_each_fault_is_one_of_them() -> None:
    assert len(NAMES) >= 10
    assert set(FAULTS) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_text_report_is_the_committed_one(name: str) -> None:
    report = audit(name, "text")[1]
    place = EXPECTED / f"{name}.txt"
    if os.environ.get("GRADFLOW_UPDATE") == "1":
        place.parent.mkdir(exist_ok=True)
        place.write_text(report, "utf-8")
    assert report == place.read_text("utf-8")


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_faulty_sample_has_one_finding_with_its_line_and_all_its_parameters(name: str) -> None:
    fault = FAULTS[name]
    assert audit(name, "json")[0] == (1 if fault.severity == "error" else 0)
    (finding,) = loud(name)
    assert (finding["code"], finding["reason"], finding["severity"]) == (fault.code, fault.reason, fault.severity)
    assert set(finding["parameters"]) == fault.parameters
    cause = next(site for site in finding["sites"] if site["role"] in ("cause", "definition"))
    assert (cause["file"], fault.line in cause["source"]) == (f"{name}.py", True)
    assert (SAMPLES / f"{name}.py").read_text("utf-8").splitlines()[cause["line"] - 1].strip() == cause["source"].strip()


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_in_a_faulty_sample_all_other_parameters_are_live(name: str) -> None:
    fault = FAULTS[name]
    others = {parameter: verdict for parameter, verdict in verdicts(name).items() if parameter not in fault.parameters}
    assert set(others.values()) <= {"live"}
    assert {verdicts(name)[parameter] for parameter in fault.parameters} == {fault.verdict}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_sample_is_clean(name: str) -> None:
    assert loud(name) == []
    assert (audit(name, "json")[0], document(name)["outcome"]) == (0, "clean")


@pytest.mark.parametrize("name", sorted(set(HEALTHY) - {"freeze_requires_grad"}))
def test_in_a_healthy_sample_every_parameter_is_live(name: str) -> None:
    assert set(verdicts(name).values()) == {"live"}


def test_frozen_by_requires_grad_lin1_is_frozen_and_its_neighbours_are_live() -> None:
    assert verdicts("freeze_requires_grad") == dict.fromkeys(weights("lin0", "lin2"), "live") | dict.fromkeys(weights("lin1"), "frozen")


def test_under_no_grad_both_helps_are_there_and_lin2_is_live() -> None:
    (finding,) = loud("freeze_no_grad")
    helps = "\n".join(finding["help"])
    assert "to train" in helps
    assert "to freeze" in helps
    assert "model.lin1.requires_grad_(False)" in helps
    assert verdicts("freeze_no_grad")["lin2.weight"] == "live"


def test_no_report_of_the_first_program_says_that_lin2_is_dead() -> None:
    (finding,) = loud("freeze_no_grad")
    assert not any(parameter.startswith("lin2") for parameter in finding["parameters"])
    severed = [line for line in audit("freeze_no_grad", "text")[1].splitlines() if "severed:" in line]
    assert severed and "lin2" not in "".join(severed)


def test_what_a_sample_prints_goes_to_stderr() -> None:
    _, out, err = audit("freeze_requires_grad", "json")
    assert "loss 0." in err
    assert "loss 0." not in out


def test_a_second_audit_gives_the_same_bytes() -> None:
    first = audit("vae", "json")[1]
    audit.cache_clear()
    assert audit("vae", "json")[1] == first
