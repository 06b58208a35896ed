"""An optimizer that holds tensors which belong to no live module any more.

## What it checks
Optimizers whose parameters were replaced after they were built: a new head, `load_state_dict(..., assign=True)`, a resized embedding, a
`.to()` that makes copies. The lines named are the one that replaces and the optimizer's constructor. The parameters are the new ones, if
no other optimizer that steps holds them.

## Why it matters
The optimizer keeps the old tensors alive and updates them, or passes over them as they get no gradient. The model computes with the new
ones, which nobody updates. The loss may still fall, by the layers that were not replaced.

## Example
```python
optimizer = torch.optim.AdamW(model.parameters())
model.resize_token_embeddings(50_000)  # a new weight, and AdamW holds the old one
```

## Use instead
```python
model.resize_token_embeddings(50_000)
optimizer = torch.optim.AdamW(model.parameters())
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, definition_site, same_line
from gradflow.checks.naming import listed, spoken
from gradflow.checks.owners import line_of, optimizer_named, stepped_elsewhere
from gradflow.graph.recording import OptimizerFact, StaleOptimizer
from gradflow.graph.site import Site
from gradflow.report import Finding, Severity

CODE = "GF302"
NAME = "stale-optimizer"
SEVERITY = Severity.ERROR


def find(case: Case) -> Iterable[Finding]:
    """One finding for each optimizer and each line that replaces."""
    places: dict[tuple[str, Site | None], list[StaleOptimizer]] = {}
    for stale in case.recording.stale:
        places.setdefault((stale.optimizer, stale.replacement), []).append(stale)
    said: set[int] = set()
    for (name, replacement), entries in places.items():
        optimizer = optimizer_named(case, name)
        new = sorted({i for entry in entries for i in entry.parameters if _is_lost(case, i)} - said)
        old = tuple(dict.fromkeys(tensor for entry in entries for tensor in entry.old))
        said.update(new)
        built = next((entry.site for entry in entries if entry.site), None)
        if new or (_only_old(entries) and old and replacement is not None and optimizer is not None and optimizer.steps):
            yield _finding(case, name, optimizer, built, replacement, new, old)


def _is_lost(case: Case, index: int) -> bool:
    """Whether the new parameter is meant to learn, and no optimizer that steps holds it."""
    fact = case.facts[index]
    return fact.requires_grad and fact.name not in case.taken and not stepped_elsewhere(case, index)


def _only_old(entries: list[StaleOptimizer]) -> bool:
    return not any(entry.parameters for entry in entries)


def _finding(
    case: Case,
    name: str,
    optimizer: OptimizerFact | None,
    built: Site | None,
    replacement: Site | None,
    new: list[int],
    old: tuple[str, ...],
) -> Finding:
    built = built or (optimizer.site if optimizer is not None else None)
    names = case.names(new) if new else old
    what = spoken(case.facts, new) if new else listed(old)
    line = f" on line {replacement.line}" if replacement is not None else ""
    other = () if built is None or (replacement and same_line(built, replacement)) else definition_site(built, "holds the old tensors")
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"`{name}` holds tensors that were replaced: {what} {'is' if len(names) == 1 else 'are'} not updated",
        names,
        sites=(*cause_site(replacement, f"puts new tensors in the place of those that `{name}` holds"), *other),
        help=(f"build `{name}`{line_of(optimizer)} after the replacement{line}",),
        notes=(f"`{name}` was built before the replacement: what it updates is no part of the model any more",),
    )
