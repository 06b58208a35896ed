"""An optimizer that holds frozen parameters only, or a loss that needs no gradient at all.

## What it checks
Optimizers that hold parameters, none of which requires grad or got a gradient in any step seen; and programs that stop with "does not
require grad" because every parameter of the model is frozen. The line named is the optimizer's constructor.

## Why it matters
`step()` passes over parameters without a gradient and says nothing. Often a loop that freezes the backbone runs after the new layers were
put into it, and freezes these too.

## Example
```python
model.adapter = Adapter(64)
for p in model.parameters():
    p.requires_grad_(False)
optimizer = torch.optim.Adam(model.adapter.parameters())
```

## Use instead
```python
for p in model.parameters():
    p.requires_grad_(False)
model.adapter = Adapter(64)
optimizer = torch.optim.Adam(model.adapter.parameters())
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, count
from gradflow.checks.naming import expression, listed, topmost
from gradflow.checks.owners import held_by, line_of
from gradflow.graph.recording import Membership, OptimizerFact
from gradflow.report import Finding, Severity

CODE = "GF307"
NAME = "nothing-trainable"
SEVERITY = Severity.ERROR

_NO_GRAPH = "does not require grad"


def find(case: Case) -> Iterable[Finding]:
    """One finding for each optimizer; one for the program where no optimizer tells."""
    found = False
    for optimizer in case.recording.optimizers:
        members = held_by(case, optimizer.name)
        if optimizer.held and not optimizer.trainable and not any(_ever_trained(case, i) for i in members):
            found = True
            yield _finding(case, optimizer, members)
    frozen = [i for i, fact in enumerate(case.facts) if fact.membership is Membership.REGISTERED]
    if not found and _NO_GRAPH in case.recording.crash and frozen and not any(case.facts[i].requires_grad for i in frozen):
        yield _finding(case, None, frozen)


def _ever_trained(case: Case, index: int) -> bool:
    """Whether it requires grad, or did in a step: who freezes by turns freezes for a moment."""
    fact = case.facts[index]
    return fact.requires_grad or any(step.reached for step in fact.steps)


def _finding(case: Case, optimizer: OptimizerFact | None, members: list[int]) -> Finding:
    groups = topmost(case.facts, members)
    prefixed = len({fact.root for fact in case.facts if fact.root}) > 1
    what = [expression(group.root, group.path, prefixed=prefixed) for group in groups]
    thaw = f"`{what[0]}.requires_grad_(True)`" if len(what) == 1 else "`requires_grad_(True)` on them"
    labels = listed([group.label for group in groups])
    if optimizer is None:
        message = f"no parameter of {labels} requires grad, and nothing is left to train"
    else:
        message = f"`{optimizer.name}` holds {count(optimizer.held)}, and none requires grad"
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        message,
        case.names(members),
        sites=cause_site(optimizer.site, "holds frozen parameters only") if optimizer is not None else (),
        help=(
            f"to train {labels}, call {thaw}" + (f" before `{optimizer.name}` is built{line_of(optimizer)}" if optimizer else ""),
            *([f"if all of it is meant to be frozen, delete `{optimizer.name}`"] if optimizer is not None else []),
        ),
    )
