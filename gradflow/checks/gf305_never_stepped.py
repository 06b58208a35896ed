"""An optimizer whose parameters get a gradient, and that never takes a step.

## What it checks
Optimizers that took no step while other optimizers took at least 8, or while at least 8 backward passes were made, and 3 of either where
a script ended by itself. Some parameter that it alone holds must have got a gradient. An optimizer that steps seldom (a delayed actor) is
waited for; until then its parameters are `unknown`. The line named is its constructor.

## Why it matters
Its parameters get a gradient in every pass and keep their first values. The other half of the model trains against a random network.

## Example
```python
opt_g, opt_d = Adam(g.parameters()), Adam(d.parameters())
for real in loader:
    d_loss(g, d, real).backward()
    g_loss(g, d).backward()
    opt_g.step()  # and opt_d?
```

## Use instead
Step each optimizer after its own backward pass, or delete it and freeze what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site
from gradflow.checks.naming import freeze, spoken
from gradflow.checks.owners import held_by, stepped_elsewhere
from gradflow.graph.recording import OptimizerFact, TargetKind
from gradflow.report import Finding, Severity

CODE = "GF305"
NAME = "never-stepped"
SEVERITY = Severity.ERROR

_PATIENCE = 8
_PATIENCE_AT_THE_END = 3
_PATIENCE_IF_STOPPED = 30
_RUNS_TO_ITS_END = {TargetKind.SCRIPT, TargetKind.NOTEBOOK, TargetKind.COMMAND}


def find(case: Case) -> Iterable[Finding]:
    """One finding for each optimizer."""
    said: set[int] = set()
    for optimizer in case.recording.optimizers:
        if optimizer.steps or optimizer.waited < _patience(case):
            continue
        members = [i for i in held_by(case, optimizer.name) if _waits(case, i) and i not in said]
        said.update(members)
        if members:
            yield _finding(case, optimizer, members)


def _patience(case: Case) -> int:
    """How long to wait. A script is watched until all its optimizers have stepped or have waited long: a short wait is its own end."""
    recording = case.recording
    if recording.timed_out:
        return _PATIENCE_IF_STOPPED
    ended = recording.target.kind in _RUNS_TO_ITS_END and not recording.crash
    return _PATIENCE_AT_THE_END if ended else _PATIENCE


def _waits(case: Case, index: int) -> bool:
    fact = case.facts[index]
    arrived = any(step.delivered for step in fact.steps)
    return fact.requires_grad and arrived and fact.name not in case.taken and not fact.moved and not stepped_elsewhere(case, index)


def _finding(case: Case, optimizer: OptimizerFact, members: list[int]) -> Finding:
    names = case.names(members)
    them = "it" if len(names) == 1 else "them"
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"`{optimizer.name}` never steps, and {spoken(case.facts, members)} {'waits' if len(names) == 1 else 'wait'} for it",
        names,
        sites=cause_site(optimizer.site, "is built here, and its `step` is never called"),
        help=(
            f"call `{optimizer.name}.step()` after the backward pass that brings {them} a gradient",
            f"to freeze {them}, say so: `{freeze(case.facts, members)}`",
        ),
        notes=(f"a gradient arrived, and in {optimizer.waited} steps or backward passes `{optimizer.name}` took none",),
    )
