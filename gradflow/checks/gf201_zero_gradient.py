"""A gradient that becomes exactly zero on its way back.

## What it checks
Parameters whose gradient was zero in every step seen, and the operation where it becomes zero: what comes to it from the loss is not zero,
what it hands on is. `reason` says what makes it so:

- `constant`: a factor of 0, or a derivative that is zero everywhere (`sign`, `round`);
- `shape`: one element where several were meant (softmax or a norm over one element is constant);
- `parameter`: a value that parameters have a part in (a dead ReLU, a saturated sigmoid, a clamp out of its range);
- `batch`: this batch's data alone (a mask, a reward of zero).

It is info where it comes from this batch's data alone, or from a hinge that is met. A bias that normalisation takes out again (GF902) and a
layer next to a weight that starts as zero (GF904) are no zero gradients in this sense.

## Why it matters
`.grad` is there, so that no check for None sees it, and the optimizer steps on zeros. Nothing brings such a layer back: the gradient that
would move it is the one that is zero.

## Example
```python
weights = torch.softmax(self.score(h), dim=1)  # (batch, 1): softmax over one element is 1, whatever the score
gate = torch.sign(x - self.threshold)
```

## Use instead
```python
weights = torch.softmax(self.score(h), dim=0)
gate = torch.sigmoid((x - self.threshold) / 0.1)
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site
from gradflow.checks.invariance import redundant, zero_at_start
from gradflow.checks.naming import spoken
from gradflow.graph.recording import NumericOrigin, Operand, Trouble
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict

CODE = "GF201"
NAME = "zero-gradient"
SEVERITY = Severity.ERROR

_WHY = {
    Operand.CONSTANT: "its derivative is zero, by a constant",
    Operand.SHAPE: "it runs over one element, so that its result is constant",
    Operand.PARAMETER: "its derivative is zero at the values that it was given",
    Operand.BATCH: "its derivative is zero for the data of these batches",
}


def find(case: Case) -> Iterable[Finding]:
    """One finding for each operation."""
    harmless = {*redundant(case), *zero_at_start(case)}
    zero = set(case.free(Verdict.ZERO)) - harmless
    # Where several operations lie on the ways to one parameter, a fault explains it before the data of a batch does.
    for origin in sorted(case.recording.origins, key=_is_meant):
        members = sorted(zero.intersection(origin.parameters)) if origin.trouble is Trouble.ZERO else []
        zero.difference_update(members)
        if members:
            yield _finding(case, origin, members)


def _is_meant(origin: NumericOrigin) -> bool:
    return origin.satisfied or origin.operand is Operand.BATCH


def _finding(case: Case, origin: NumericOrigin, members: list[int]) -> Finding:
    names = case.names(members)
    note = "taken as meant: the loss has nothing to ask of them in these batches" if _is_meant(origin) else ""
    return Finding(
        CODE,
        NAME,
        Severity.INFO if _is_meant(origin) else SEVERITY,
        f"the gradient of {spoken(case.facts, members)} is exactly zero from `{origin.operation}` back",
        names,
        sites=cause_site(origin.site, "hands back a gradient of zero"),
        reason=origin.operand.value,
        help=() if _is_meant(origin) else (_cure(origin),),
        notes=tuple(filter(None, (f"`{origin.autograd}`: {_WHY[origin.operand]}", note))),
    )


def _cure(origin: NumericOrigin) -> str:
    where = f" on line {origin.site.line}" if origin.site is not None else ""
    name = origin.autograd.lower()
    if origin.operand is Operand.SHAPE:
        return f"let `{origin.operation}`{where} run over a dimension of more than one element"
    if name.startswith(("sign", "round", "floor", "ceil", "trunc", "heaviside")):
        return f"take a smooth step in place of `{origin.operation}`{where} (`torch.sigmoid(x / t)`), or pass the gradient straight through"
    if origin.operand is Operand.CONSTANT:
        return f"let the factor{where} be other than zero, or leave the term out and freeze what it trains"
    if name.startswith(("relu", "threshold", "hardtanh", "leakyrelu")):
        return f"start the layer before `{origin.operation}`{where} where it is positive, or take `softplus`, `elu` or `leaky_relu` instead"
    if name.startswith(("clamp", "clip")):
        return f"bring the values before `{origin.operation}`{where} into its range, or bound them smoothly with `sigmoid` or `tanh`"
    if name.startswith(("sigmoid", "tanh", "softmax", "logsoftmax", "logsigmoid")):
        return (
            f"bring the values before `{origin.operation}`{where} nearer to zero: it is saturated, and its slope is zero in this precision"
        )
    return f"change what goes into `{origin.operation}`{where}, so that its derivative is not zero there"
