"""A gradient that becomes exactly zero on its way back.

## What it checks
Parameters whose gradient was zero in every step seen, and the operation where it becomes zero: what comes to it from the loss is not zero,
what it hands on is. `reason` says what makes it so:

- `constant`: a factor of 0, or a derivative that is zero everywhere (`sign`, `round`);
- `shape`: one element where several were meant (softmax or a norm over one element is constant);
- `parameter`: a value that parameters have a part in (a dead ReLU, a saturated sigmoid, a clamp out of its range);
- `batch`: this batch's data alone (a mask, a reward of zero);
- `cancelled`: one value taken twice, so that the two gradients cancel (`log_prob - old_log_prob`, where both are the same tensor);
- `hook`: a hook of the program's own on the gradient (a mask that lets nothing through);
- `overwritten`: `.grad` was there, and was made zero between the backward pass and the step (`clip_grad_norm_` with a norm of 0).

It is info where it comes from this batch's data alone, or from a hinge that is met; where a hook is written to give zeros; and where only
some of an optimizer's gradients are overwritten: these are ways to freeze. Where a factor that is computed is zero, up to ten times as
many steps are watched, since a weight that grows from zero is no fault; it is info where no optimizer takes a step and weights start as
zero. A bias that normalisation takes out again (GF902) and a layer next to a weight that starts as zero (GF904) are no zero gradients in
this sense.

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
from dataclasses import replace

from gradflow.checks.base import Case, cause_site
from gradflow.checks.invariance import is_zero_and_learns, redundant, zero_at_start
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
    Operand.CANCELLED: "it takes one value twice, and the two gradients cancel",
    Operand.HOOK: "the hook was given a gradient, and made zeros of it",
    Operand.OVERWRITTEN: "the backward pass brought a gradient, and it was all zero when the optimizer stepped",
}


_NOTE = {Operand.HOOK: "this hook makes zeros of it", Operand.OVERWRITTEN: "makes zeros of `.grad` before the step"}


def find(case: Case) -> Iterable[Finding]:
    """One finding for each operation: one in a block is one, in however many blocks it runs."""
    harmless = {*redundant(case), *zero_at_start(case)}
    zero = set(case.free(Verdict.ZERO)) - harmless
    # Where several operations lie on the ways to one parameter, a fault explains it before the data of a batch does.
    groups: dict[NumericOrigin, list[int]] = {}
    for origin in sorted(case.recording.origins, key=_is_meant):
        members = sorted(zero.intersection(origin.parameters)) if origin.trouble is Trouble.ZERO else []
        zero.difference_update(members)
        if members:
            groups.setdefault(next((known for known in groups if _is_one(known, origin)), origin), []).extend(members)
    for origin, members in groups.items():
        yield _finding(case, origin, sorted(members))


def _is_one(one: NumericOrigin, other: NumericOrigin) -> bool:
    """Whether two origins are one cause: the same operation on the same line, in whichever module."""
    if one.site is None or other.site is None:
        return False
    same = (one.operand, one.autograd, one.meant, one.satisfied) == (other.operand, other.autograd, other.meant, other.satisfied)
    return same and replace(one.site, module="") == replace(other.site, module="")


def _is_meant(origin: NumericOrigin) -> bool:
    return origin.satisfied or origin.meant or origin.operand is Operand.BATCH


def _is_only_start(case: Case, origin: NumericOrigin, members: list[int]) -> bool:
    """Whether no step was ever taken, and weights of the model that start as zero, and learn, may be what makes it zero for now."""
    if case.recording.optimizer_steps or origin.operand is not Operand.PARAMETER:
        return False
    roots = {case.facts[i].root for i in members}
    return any(is_zero_and_learns(case, i) for i, fact in enumerate(case.facts) if fact.root in roots)


def _why_harmless(case: Case, origin: NumericOrigin, members: list[int]) -> str:
    """Why it is no fault, or not known to be one; empty where it is."""
    if _is_only_start(case, origin, members):
        return "no optimizer took a step here, and the model has weights that start as zero: it may be zero at first only"
    if not _is_meant(origin):
        return ""
    return f"taken as meant: {'it is a way to freeze' if origin.meant else 'the loss has nothing to ask of them in these batches'}"


def _finding(case: Case, origin: NumericOrigin, members: list[int]) -> Finding:
    names = case.names(members)
    harmless = _why_harmless(case, origin, members)
    return Finding(
        CODE,
        NAME,
        Severity.INFO if harmless else SEVERITY,
        f"the gradient of {spoken(case.facts, members)} {_what(origin)}",
        names,
        sites=cause_site(origin.site, _NOTE.get(origin.operand, "hands back a gradient of zero")),
        reason=origin.operand.value,
        help=() if harmless else (_cure(origin),),
        notes=tuple(filter(None, (f"`{origin.autograd or origin.operation}`: {_WHY[origin.operand]}", harmless))),
    )


def _what(origin: NumericOrigin) -> str:
    if origin.operand is Operand.OVERWRITTEN:
        return f"is made zero by `{origin.operation}` before the step"
    if origin.operand is Operand.HOOK:
        return "is made zero by a hook"
    return f"is exactly zero from `{origin.operation}` back"


def _cure(origin: NumericOrigin) -> str:
    where = f" on line {origin.site.line}" if origin.site is not None else ""
    name = origin.autograd.lower()
    if origin.operand is Operand.CANCELLED:
        return f"detach one of the two values that `{origin.operation}`{where} takes, or keep it from an earlier step"
    if origin.operand is Operand.HOOK:
        return f"look at what the hook{where} multiplies by; to freeze, set `requires_grad_(False)` instead"
    if origin.operand is Operand.OVERWRITTEN:
        return f"leave out `{origin.operation}`{where}, or give it a limit above 0: a maximum norm of 0 does not switch clipping off"
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
