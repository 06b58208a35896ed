"""A parameter that is live in some steps and gets no gradient in others.

## What it checks
Parameters that are live in some of the steps of their optimizer, and that no gradient reached in others: an expert without tokens, a layer
that is dropped by chance, heads that take turns.

## Why it matters
It is as the program has it, and information only. `DistributedDataParallel` needs `find_unused_parameters=True` for such a model, and an
optimizer with momentum or weight decay skips the parameter in those steps.

## Example
```python
for block in self.blocks:
    if not self.training or random.random() > 0.1:
        x = block(x)
```

## Use instead
Nothing has to change.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, count
from gradflow.checks.naming import listed, topmost
from gradflow.checks.routing import unrouted
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict, live_steps

CODE = "GF903"
NAME = "conditional-parameter"
SEVERITY = Severity.INFO


def find(case: Case) -> Iterable[Finding]:
    """One finding for each model."""
    members = [i for i in case.free(Verdict.LIVE) if case.facts[i].stepped and not all(step.reached for step in case.facts[i].steps)]
    yield from _never_chosen(case)
    for root in dict.fromkeys(case.facts[i].root for i in members):
        chosen = [i for i in members if case.facts[i].root == root]
        names = case.names(chosen)
        shares = sorted({(live_steps(case.facts[i]), len(case.facts[i].steps)) for i in chosen})
        in_steps = f"{shares[0][0]} of {shares[0][1]} steps" if len(shares) == 1 else "some steps"
        labels = [group.label for group in topmost(case.facts, chosen)]
        yield Finding(
            CODE,
            NAME,
            SEVERITY,
            f"{listed(labels)} {'is' if len(labels) == 1 else 'are'} live in {in_steps} only ({count(len(names))})",
            names,
            notes=("no gradient reaches it in the others: it had no part in their losses",),
        )


def _never_chosen(case: Case) -> Iterable[Finding]:
    members = sorted(unrouted(case).intersection(case.free(Verdict.UNUSED)))
    if members:
        labels = [group.label for group in topmost(case.facts, members)]
        verb = "was" if len(labels) == 1 else "were"
        note = "siblings of the same shape are chosen in some steps and not in others: more steps may choose it"
        yield Finding(CODE, NAME, SEVERITY, f"{listed(labels)} {verb} not chosen in any step seen", case.names(members), notes=(note,))
