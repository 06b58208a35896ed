"""A gradient with NaN or Inf in it.

## What it checks
Parameters whose gradient was NaN or Inf in every step seen in which one arrived, and the operation where that is born on the way back: what
comes to it from the loss is finite, what it hands on is not. Where the forward pass has NaN or Inf already, the loss itself is to blame,
and the finding says so. Steps that a `GradScaler` skipped do not count.

## Why it matters
One step with NaN makes the weights NaN, and everything after it. `torch.where` does not help: the branch that was not chosen is
differentiated too, and 0 times Inf is NaN.

## Example
```python
log_p = torch.where(p > 0, torch.log(p), torch.zeros_like(p))
distance = (a - b).pow(2).sum(-1).sqrt()  # at a == b the slope is infinite
```

## Use instead
```python
log_p = torch.log(torch.where(p > 0, p, torch.ones_like(p)))
distance = ((a - b).pow(2).sum(-1) + 1e-12).sqrt()
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, definition_site
from gradflow.checks.naming import spoken
from gradflow.graph.recording import NumericOrigin, Trouble
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict

CODE = "GF202"
NAME = "nonfinite-gradient"
SEVERITY = Severity.ERROR


def find(case: Case) -> Iterable[Finding]:
    """One finding for each operation, and one for what no operation explains."""
    left = set(case.free(Verdict.NONFINITE))
    # Born in the backward pass first: NaN in the loss is often what the first bad step left behind.
    for origin in sorted(case.recording.origins, key=lambda origin: not origin.forward_finite):
        members = sorted(left.intersection(origin.parameters)) if origin.trouble is Trouble.NONFINITE else []
        left.difference_update(members)
        if members:
            yield _finding(case, origin, members)
    if left:
        yield _unexplained(case, sorted(left))


def _finding(case: Case, origin: NumericOrigin, members: list[int]) -> Finding:
    where = f" on line {origin.site.line}" if origin.site is not None else ""
    if origin.forward_finite:
        message = f"{_gradients(case, members)} NaN or Inf from `{origin.operation}` back"
        note = f"the forward pass is finite: NaN or Inf is born in `{origin.autograd}`"
        words = "hands back NaN or Inf"
        cure = f"keep the values before `{origin.operation}`{where} away from where its slope is infinite: {_away(origin)}"
    else:
        message = f"{_gradients(case, members)} NaN or Inf, as the loss itself is"
        note = "the loss is NaN or Inf before any backward pass: the fault is in the forward pass, or in the data"
        words = "differentiates a loss that is NaN or Inf"
        cure = "look for the first value that is not finite on the way to the loss: `torch.isfinite(x).all()` after each layer"
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        message,
        case.names(members),
        sites=cause_site(origin.site, words),
        reason=None if origin.forward_finite else "forward",
        help=(cure,),
        notes=(note,),
    )


def _gradients(case: Case, members: list[int]) -> str:
    return f"the gradient of {spoken(case.facts, members)} is"


def _away(origin: NumericOrigin) -> str:
    name = origin.autograd.lower()
    if name.startswith(("sqrt", "pow", "rsqrt")):
        return "add a small number under the root"
    if name.startswith(("acos", "asin", "atanh")):
        return "clamp to `(-1 + eps, 1 - eps)`, not to the ends themselves"
    if name.startswith("div"):
        return "clamp the divisor, or choose its value before the division with `torch.where`"
    if "norm" in name:
        return "add a small number to the squares under the norm"
    if name.startswith(("log", "where", "mul", "maskedfill")):
        return "choose the value with `torch.where` before the function, not after it"
    return "clamp its input, or choose it with `torch.where` before the function"


def _unexplained(case: Case, members: list[int]) -> Finding:
    return Finding(
        CODE,
        NAME,
        SEVERITY,
        f"{_gradients(case, members)} NaN or Inf",
        case.names(members),
        sites=definition_site(case.facts[members[0]].definition, "gets NaN or Inf"),
        help=("run one step under `torch.autograd.detect_anomaly()` to see where it is born",),
        notes=("the operation where it is born was not seen",),
    )
