"""The `backward` of a custom Function returns None where a parameter waits.

## What it checks
Custom `torch.autograd.Function`s whose `backward` gave no gradient for an input that leads to parameters that require grad, and that no
other way reaches. The line named is the `return` of `backward`. Code that `torch.compile` made is such a Function too, and has no line:
without `--compile` the audit names the one that cuts.

## Why it matters
Autograd takes None as "no gradient here" and says nothing. The graph looks whole, `grad_fn` is there, and `.grad` stays None.

## Example
```python
@staticmethod
def backward(ctx, grad):
    x, weight = ctx.saved_tensors
    return grad @ weight.T, None  # weight never learns
```

## Use instead
```python
    return grad @ weight.T, x.T @ grad
```
"""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.checks.base import Case, cause_site, count
from gradflow.checks.naming import freeze
from gradflow.checks.severity import graded, why_meant
from gradflow.cures import COMPILED
from gradflow.graph.recording import GradientDropped
from gradflow.graph.site import Site
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict

CODE = "GF106"
NAME = "gradient-dropped"
SEVERITY = Severity.ERROR


def find(case: Case) -> Iterable[Finding]:
    """One finding for each `return` of a Function's `backward`."""
    said: set[int] = set()
    lines: dict[tuple[str, object], tuple[GradientDropped, set[int]]] = {}
    for dropped in case.recording.dropped:
        lines.setdefault((dropped.function, dropped.site), (dropped, set()))[1].update(dropped.parameters)
    for dropped, indices in lines.values():
        waiting = set(case.free(Verdict.UNDEFINED, Verdict.SEVERED)) & indices - said
        severity, members, _ = graded(case, waiting)
        said |= waiting
        if severity is not None:
            yield _finding(case, dropped, severity, members)
    severity, members, _ = graded(case, set(case.free(Verdict.UNDEFINED)) - said)
    if severity is not None:
        yield _unexplained(case, severity, members)


def _unexplained(case: Case, severity: Severity, members: list[int]) -> Finding:
    """Autograd's graph leads to them, and no Function of the user's was seen to drop the gradient: compiled code does so."""
    names = case.names(members)
    them = "it" if len(names) == 1 else "them"
    return Finding(
        CODE,
        NAME,
        severity,
        f"the backward pass reaches {count(len(names))}, and brings {them} no gradient",
        names,
        sites=cause_site(_compiled_call(case, members), f"ran compiled, and brings {them} no gradient: a line inside cuts {them} off"),
        help=(
            "where torch.compile is on, audit without it to see the line",
            f"to freeze {them}, say so: `{freeze(case.facts, members)}`",
        ),
        notes=(f"taken as meant: {why_meant(case, members)}",) if severity is Severity.INFO else (),
    )


def _compiled_call(case: Case, members: list[int]) -> Site | None:
    """Where compiled code that takes one of these is called, None where none was seen to."""
    graph, wanted = case.graph, set(members)
    for source, target in zip(graph.sources, graph.targets, strict=True):
        if graph.nodes[source].parameter in wanted and graph.nodes[target].label.startswith(COMPILED):
            return graph.site_of(target)
    return None


def _finding(case: Case, dropped: GradientDropped, severity: Severity, members: list[int]) -> Finding:
    names = case.names(members)
    them = "it" if len(names) == 1 else "them"
    where = f" on line {dropped.site.line}" if dropped.site else ""
    return Finding(
        CODE,
        NAME,
        severity,
        f"`{dropped.function}.backward` returns no gradient for {count(len(names))}",
        names,
        sites=cause_site(dropped.site, "returns None where a gradient is waited for"),
        help=(
            f"to train {them}, return the gradient of every differentiable input{where}",
            f"to freeze {them}, say so: `{freeze(case.facts, members)}`",
        ),
        notes=(f"taken as meant: {why_meant(case, members)}",) if severity is Severity.INFO else (),
    )
