"""Runs random programs plainly and under gradflow: autograd's own `.grad` is the oracle, and a repair is the proof of a blame."""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from random_programs import Program
from torch import nn

import gradflow

IDLE = re.compile(r"(^|\.)[bu]\d+\.")
"""Names of layers that no gradient is promised to: behind a branch, or never called."""


@dataclass(frozen=True)
class Truth:
    """What torch alone says: the loss, and of each trainable parameter whether `.grad` is there after backward. `frozen`: the others."""

    loss: torch.Tensor
    arrived: dict[str, bool]
    frozen: frozenset[str]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Silences what cutting programs make torch warn about, and leaves the gradient mode and the random state as they were."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.set_grad_enabled(True):
        warnings.simplefilter("ignore")
        yield


def load(source: str, path: Path) -> ModuleType:
    """The module of `source`, written to `path` so that its lines can be read back."""
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask_torch(source: str, path: Path) -> Truth:
    """One plain forward and backward pass of the program."""
    with undisturbed():
        program = load(source, path)
        model = program.build()
        loss = program.loss_of(model(*program.inputs()))
        if loss.requires_grad:
            loss.backward()
        named = list(model.named_parameters())
        arrived = {name: parameter.grad is not None for name, parameter in named if parameter.requires_grad}
        return Truth(loss.detach(), arrived, frozenset(name for name, parameter in named if not parameter.requires_grad))


def moving(source: str, path: Path, names: list[str]) -> list[str]:
    """Those of the parameters `names` whose value has a part in the loss: it changes when they do."""
    with undisturbed():
        program = load(source, path)
        plain = program.loss_of(program.build()(*program.inputs()))
        moved = []
        for name in names:
            model = program.build()
            nn.init.constant_(model.get_parameter(name), 0.7)
            if not torch.equal(plain, program.loss_of(model(*program.inputs()))):
                moved.append(name)
        return moved


def uncut(program: Program) -> str:
    """The source with every cut replaced by its twin."""
    source = program.repaired(set(program.twins))
    assert source is not None
    return source


def promised(names: dict[str, bool]) -> set[str]:
    """Those parameters to which a gradient comes in an uncut program."""
    return {name for name in names if not IDLE.search(name)}


@dataclass(frozen=True)
class Repair:
    """One finding put to the proof: the blamed `lines` were replaced by their twins. `trouble` says what went wrong; empty: all revived.

    `explained`: what is left is a custom backward that gives None. It runs only once a gradient comes to it, so one run cannot see it
    behind another cut.
    """

    code: str
    reason: str
    lines: tuple[int, ...]
    testable: bool
    trouble: str = ""
    explained: bool = False


@dataclass(frozen=True)
class Comparison:
    """gradflow against torch on one program. Each of the tuples of sentences is empty where all is well."""

    seed: int
    parameters: int
    disagreements: tuple[str, ...]
    disturbances: tuple[str, ...]
    unexplained: tuple[str, ...]
    repeated: tuple[str, ...]
    incomplete: bool
    repairs: tuple[Repair, ...]


REACHED = {"live", "zero", "nonfinite"}
REPAIRED_CODES = {"GF101", "GF106"}
EXPLAINED_CODES = {"GF101", "GF103", "GF104", "GF105", "GF106"}


def compare(program: Program, folder: Path) -> Comparison:
    """Runs the program plainly, under gradflow, and once more per finding with the blamed lines repaired. Files go to `folder`."""
    path = folder / f"program_{program.seed}.py"
    truth = ask_torch(program.source, folder / f"plain_{program.seed}.py")
    report, disturbances = _audit(program, path, truth)
    rows = {row.name: row for row in report.parameters}
    findings = [finding for finding in report.findings if finding.code in EXPLAINED_CODES]
    named = {name for finding in findings for name in finding.parameters}
    severed = [name for name in truth.arrived if name in rows and rows[name].verdict.value == "severed"]
    unused = [name for name in truth.arrived if name in rows and rows[name].verdict.value == "unused"]
    moved = moving(program.source, folder / f"moved_{program.seed}.py", unused)
    texts = [*report.notes, *(row.because for row in report.parameters)]
    return Comparison(
        program.seed,
        len(truth.arrived),
        (
            *disagreements(truth, {name: row.verdict.value for name, row in rows.items()}),
            *(f"`{name}`: verdict unused, but the loss moves with its value" for name in moved),
        ),
        tuple(disturbances),
        tuple(f"`{name}` is severed, and no finding names it" for name in severed if name not in named),
        tuple(_repeated(findings)),
        any("trace incomplete" in text for text in texts),
        tuple(repair(program, finding, path, folder) for finding in findings if finding.code in REPAIRED_CODES),
    )


def problems(result: Comparison) -> tuple[str, ...]:
    """All that is wrong with one comparison, the proof by repair aside."""
    incomplete = ("trace incomplete",) if result.incomplete else ()
    return (*result.disagreements, *result.disturbances, *result.unexplained, *result.repeated, *incomplete)


def _audit(program: Program, path: Path, truth: Truth) -> tuple[gradflow.Report, list[str]]:
    """The report, and what the audit changed that it must leave alone."""
    with undisturbed():
        module = load(program.source, path)
        model = module.build()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        losses: list[torch.Tensor] = []

        def loss(output: object) -> torch.Tensor:
            losses.append(module.loss_of(output))
            return losses[-1]

        report = gradflow.audit(model, module.inputs(), loss=loss)
        after = model.state_dict()
        trouble = [f"loss {value.item()!r} instead of {truth.loss.item()!r}" for value in losses if not torch.equal(value, truth.loss)]
        trouble += [f"`{name}` changed" for name, value in before.items() if not torch.equal(value, after[name])]
        trouble += [f"`{name}` was left a gradient" for name, parameter in model.named_parameters() if parameter.grad is not None]
        trouble += [] if torch.is_grad_enabled() else ["gradients were left switched off"]
    return report, trouble


def disagreements(truth: Truth, verdicts: dict[str, str]) -> Iterator[str]:
    """A sentence for each parameter whose verdict says something else than torch."""
    for name, arrived in truth.arrived.items():
        verdict = verdicts.get(name, "absent")
        unreached = verdict in {"severed", "escaped", "unused", "undefined"}
        if not (verdict in REACHED if arrived else unreached):
            yield f"`{name}`: gradient {'arrived' if arrived else 'is None'}, verdict {verdict}"
    for name in sorted(truth.frozen):
        if verdicts.get(name) != "frozen":
            yield f"`{name}`: requires no grad, verdict {verdicts.get(name, 'absent')}"


def _repeated(findings: list[gradflow.Finding]) -> Iterator[str]:
    """A sentence for each finding that blames exactly what another one blames: one cause is one finding."""
    seen: set[tuple[object, ...]] = set()
    for finding in findings:
        lines = sorted({entry.site.line for entry in finding.sites if entry.role.value == "cause"})
        key = (finding.code, finding.reason, *lines)
        if finding.code in REPAIRED_CODES and key in seen:
            yield f"{finding.code} for {', '.join(finding.parameters)} blames lines {lines}, as another finding does"
        seen.add(key)


def repair(program: Program, finding: gradflow.Finding, path: Path, folder: Path) -> Repair:
    """Replaces only the lines that the finding blames, and asks torch again."""
    causes = [entry.site for entry in finding.sites if entry.role.value == "cause"]
    reason = str(getattr(finding.reason, "value", finding.reason))
    lines = tuple(sorted({site.line for site in causes}))
    if not causes:
        return Repair(finding.code, reason, (), True, "no line is blamed")
    strangers = [f"{site.file}:{site.line}" for site in causes if Path(site.file).name != path.name]
    if strangers:
        return Repair(finding.code, reason, lines, True, f"blames {', '.join(strangers)}")
    source = program.repaired(set(lines))
    if source is None:
        return Repair(finding.code, reason, lines, False)
    dead = _still_dead(source, finding, folder / f"repaired_{program.seed}.py")
    if not dead:
        return Repair(finding.code, reason, lines, True)
    silent = {number for number in program.twins if "Drop.apply(" in program.source.split("\n")[number - 1]}
    further = program.repaired({*lines, *silent}) or source
    explained = bool(silent) and not _still_dead(further, finding, folder / f"repaired_{program.seed}.py")
    return Repair(finding.code, reason, lines, True, dead, explained)


def _still_dead(source: str, finding: gradflow.Finding, path: Path) -> str:
    """Which of the finding's parameters get no gradient from `source`, as a sentence; empty where all get one."""
    try:
        arrived = ask_torch(source, path).arrived
    except RuntimeError as error:
        return f"the repaired program raises: {error}"
    dead = [name for name in finding.parameters if not arrived.get(name, False)]
    return f"still without a gradient: {', '.join(dead)}" if dead else ""
