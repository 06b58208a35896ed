"""Gradient and step are there, and the weight does not change.

## What it checks
Parameters that got a gradient in every step seen, whose optimizer stepped at least twice, and whose value no step changed for good.
`reason` is

- `lr-zero`: the learning rate of their group is 0, in every step and by any schedule that is known. A warm-up from 0 is no fault;
- `rounding`: in bfloat16 or float16 the update is smaller than half the distance to the next number, so that the sum rounds back. It is
  judged at the highest learning rate that the schedule is known to reach; where a higher rate than those seen is to come, only if even
  that would not move the larger part of the weights;
- `overwritten`: something else than the optimizer writes the first value back before each further step (`load_state_dict` in the inner
  loop), in three steps or more. The line named is the one that writes.

Updates are taken as lr for optimizers that scale each element (Adam, Lion, RMSprop and their like), and as lr times the gradient's root
mean square for others. bfloat16 resolves 2^-8 of a number, float16 2^-11.

## Why it matters
Everything looks right: there is a gradient, and the optimizer holds the parameter. In bfloat16 a weight of 1.0 takes no update under
0.002, so that a norm's gain never learns at the learning rates that are usual.

## Example
```python
model = Model().to(torch.bfloat16)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
```

## Use instead
Keep the weights in float32, and compute in bfloat16:

```python
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
with torch.autocast("cuda", dtype=torch.bfloat16):
    loss = model(x)
```
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

from gradflow.checks.base import Case, cause_site, definition_site, same_line
from gradflow.checks.naming import spoken
from gradflow.checks.owners import line_of, optimizer_named
from gradflow.graph.recording import OptimizerFact, ParameterFact
from gradflow.report import Finding, FindingSite, Severity
from gradflow.verdict import Verdict, judge_step

CODE = "GF304"
NAME = "update-lost"
SEVERITY = Severity.ERROR

_SPACING = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
_PER_ELEMENT = ("adam", "lion", "rmsprop", "adafactor", "lamb", "rprop", "adopt", "sophia", "prodigy", "adagrad", "adadelta")
_NEARLY_CONSTANT = 0.5
"""From this share of root mean square to largest weight on, all weights are about as large as the largest (a norm's gain)."""
_SMALL_PART = 1 / 16
"""Of weights that spread around zero, one in some ten is under this share of the largest, and moves first."""
_LEAST_STEPS = 2


def find(case: Case) -> Iterable[Finding]:
    """One finding for each optimizer and reason."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index in case.free(Verdict.LIVE):
        if _is_reset(case.facts[index]):
            groups.setdefault((case.facts[index].optimizers[0], "overwritten"), []).append(index)
            continue
        for name in case.facts[index].optimizers:
            optimizer = optimizer_named(case, name)
            reason = _reason(case.facts[index], optimizer) if optimizer is not None and optimizer.steps >= _LEAST_STEPS else ""
            if reason:
                groups.setdefault((name, reason), []).append(index)
                break
    for (name, reason), members in groups.items():
        yield _finding(case, name, reason, members)


def _is_reset(fact: ParameterFact) -> bool:
    """Whether each step but the first began where the first one did. Two optimizers on one parameter (an inner loop) mean it so."""
    live = all(judge_step(step) is Verdict.LIVE and step.lr for step in fact.steps)
    return live and len(fact.optimizers) == 1 and fact.resets >= _LEAST_STEPS and fact.resets >= len(fact.steps) - 1


def _reason(fact: ParameterFact, optimizer: OptimizerFact) -> str:
    measured = [step.moved for step in fact.steps if step.moved is not None]
    if len(measured) < _LEAST_STEPS or any(measured) or not all(judge_step(step) is Verdict.LIVE for step in fact.steps):
        return ""
    seen = max((step.lr for step in fact.steps if step.lr is not None), default=None)
    peak = fact.peak_lr if fact.peak_lr is not None else None if optimizer.scheduled else seen
    if seen is None or peak is None:
        return ""
    if seen == 0.0 and peak == 0.0:
        return "lr-zero"
    return "rounding" if fact.dtype in _SPACING and _rounds_away(fact, optimizer.kind, seen, peak) else ""


def _rounds_away(fact: ParameterFact, kind: str, seen: float, peak: float) -> bool:
    """Whether no step up to the learning rate `peak` moves the weights: seen at `seen`, and reckoned beyond it."""
    if peak <= seen:
        return True
    if not fact.largest_weight or not fact.elements:
        return False
    spread = 1.0 if (fact.weight_norm or 0.0) / sqrt(fact.elements) >= _NEARLY_CONSTANT * fact.largest_weight else _SMALL_PART
    return update_size(fact, kind, peak) < _SPACING[fact.dtype] / 2 * spread * fact.largest_weight


def update_size(fact: ParameterFact, kind: str, lr: float) -> float:
    """How much one step at `lr` changes an element, about: in the unit of the weights."""
    if any(name in kind.lower() for name in _PER_ELEMENT):
        return lr
    largest = max((step.grad_norm or 0.0 for step in fact.steps), default=0.0)
    return lr * largest / sqrt(fact.elements)


def _finding(case: Case, name: str, reason: str, members: list[int]) -> Finding:
    optimizer = optimizer_named(case, name)
    names = case.names(members)
    facts = [case.facts[i] for i in members]
    verb = "does" if len(names) == 1 else "do"
    dtype = facts[0].dtype
    why = {
        "lr-zero": "its learning rate is 0",
        "rounding": f"the update is too small for {dtype}",
        "overwritten": "the first value is written back before each further step",
    }[reason]
    where = line_of(optimizer)
    cures = {
        "lr-zero": f"give the group a learning rate above 0 in `{name}`{where}; to freeze it, set `requires_grad_(False)` instead",
        "overwritten": "write the value back where training begins anew, and not before each step",
        "rounding": f"keep these weights in float32 and compute in {dtype} under `torch.autocast`, or raise the learning rate{where}",
    }
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"`{name}` steps, and {spoken(case.facts, members)} {verb} not change: {why}",
        names,
        sites=tuple(_sites(optimizer, reason, facts)),
        reason=reason,
        help=(cures[reason],),
        notes=tuple(_notes(facts, reason, optimizer)),
    )


def _sites(optimizer: OptimizerFact | None, reason: str, facts: list[ParameterFact]) -> Iterable[FindingSite]:
    built = optimizer.site if optimizer is not None else None
    if reason == "lr-zero":
        yield from cause_site(built, "steps with a learning rate of 0")
        return
    if reason == "overwritten":
        yield from cause_site(next((fact.written_at for fact in facts if fact.written_at is not None), built), "undoes the step before it")
        return
    cast = next((site for fact in facts if (site := fact.cast or fact.definition) is not None), None)
    yield from cause_site(cast or built, f"in {facts[0].dtype} from here on" if cast else "its updates round away")
    if cast is not None and built is not None and not same_line(cast, built):
        yield from definition_site(built, "its updates round away")


def _notes(facts: list[ParameterFact], reason: str, optimizer: OptimizerFact | None) -> Iterable[str]:
    if reason == "rounding" and optimizer is not None:
        ratios = [
            update_size(fact, optimizer.kind, max(step.lr or 0.0 for step in fact.steps)) / fact.largest_weight
            for fact in facts
            if fact.largest_weight
        ]
        if ratios:
            resolved = _SPACING[facts[0].dtype] / 2
            yield f"the largest relative update seen is about {max(ratios):.1g}; {facts[0].dtype} takes none under about {resolved:.1g}"
