"""Parameters that do not learn, and are not meant to.

## What it checks
Parameters that no gradient reaches (verdicts severed and unused), where the program says that it is meant: something else than an optimizer
writes their values between steps (a moving average, a target network), no optimizer holds them while others are held, or their optimizer
has not stepped while another has. Also those that get a gradient which no optimizer uses, where that is meant: a copy of another model, a
model in eval mode, a backbone under a trained head. The line named is the one that cuts, where there is one.

## Why it matters
It does not: this is information, and never makes an audit fail. It says what gradflow took for granted, so that you can disagree.

## Example
```python
with torch.no_grad():
    target = teacher(x)  # no optimizer holds the teacher
```

## Use instead
Nothing has to change. To say it in the program, and save the memory of the gradients: `teacher.requires_grad_(False)`.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, count
from gradflow.checks.gf102_unused_parameter import expected_to_learn
from gradflow.checks.gf301_not_in_optimizer import left_out_of_optimizers
from gradflow.checks.naming import freeze, listed, topmost
from gradflow.checks.severity import why_meant
from gradflow.graph.recording import Membership
from gradflow.graph.site import Site
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict

CODE = "GF901"
NAME = "intended-stop-gradient"
SEVERITY = Severity.INFO


def find(case: Case) -> Iterable[Finding]:
    """One finding for each model and each reason to take it as meant."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index in _cut_on_purpose(case):
        groups.setdefault((case.facts[index].root, why_meant(case, [index])), []).append(index)
    for (root, _), members in groups.items():
        yield _finding(case, root, members, why_meant(case, members), reached=False)
    external: dict[tuple[str, str], list[int]] = {}
    for index in _outside_on_purpose(case):
        external.setdefault((case.facts[index].root, _why_outside(case, index)), []).append(index)
    for (root, why), members in external.items():
        yield _finding(case, root, members, why, reached=True)


def _cut_on_purpose(case: Case) -> list[int]:
    """Indices of parameters that no gradient reaches, and whose cut no fault has to say."""
    free = [*case.free(Verdict.SEVERED), *(i for i in case.free(Verdict.UNUSED) if expected_to_learn(case, i))]
    meant = [i for i in sorted(free) if case.severities[i] is Severity.INFO]
    faults = [i for i, severity in enumerate(case.severities) if severity is Severity.ERROR and case.verdicts[i] is Verdict.SEVERED]
    at_fault = {crossing.cut for i in faults if i in case.blames for crossing in case.blames[i].crossings}
    return [i for i in meant if i not in case.blames or not at_fault.intersection(crossing.cut for crossing in case.blames[i].crossings)]


def _outside_on_purpose(case: Case) -> list[int]:
    """Indices of parameters that get a gradient, and that no optimizer holds, while some optimizer steps."""
    if not any(optimizer.steps for optimizer in case.recording.optimizers):
        return []
    free = case.free(Verdict.LIVE, Verdict.ZERO, Verdict.NONFINITE)
    registered = [i for i in free if case.facts[i].membership is Membership.REGISTERED and not case.facts[i].optimizers]
    return [i for i in registered if any(step.delivered for step in case.facts[i].steps)]


def _why_outside(case: Case, index: int) -> str:
    fact = case.facts[index]
    if fact.written or fact.moved:
        return "its values are written between steps by something else than an optimizer"
    if index not in left_out_of_optimizers(case):
        return f"it is a copy of `{fact.twin}`, by class and shapes"
    if any(other.root == fact.root and other.optimizers for other in case.facts):
        return "it only feeds what is trained"
    return "it runs in eval mode, and nothing of it is trained"


def _finding(case: Case, root: str, members: list[int], why: str, *, reached: bool) -> Finding:
    names = case.names(members)
    frozen = [i for i, verdict in enumerate(case.verdicts) if verdict is Verdict.FROZEN]
    groups = topmost(case.facts, members, frozen)
    labels, one = listed([group.label for group in groups]), len(groups) == 1
    what = f"{'gets' if one else 'get'} a gradient that no optimizer uses" if reached else f"{'gets' if one else 'get'} no gradient"
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"{labels} {what} ({count(len(names))}), taken as meant: {why}",
        names,
        sites=cause_site(_cut_of(case, members), "keeps the gradient away, as is meant"),
        help=(f"to say it in the program: `{freeze(case.facts, members)}`",),
    )


def _cut_of(case: Case, members: list[int]) -> Site | None:
    """The cut nearest the loss that is named first."""
    return next((sites[0] for index in members if (sites := case.cut_sites(index))), None)
