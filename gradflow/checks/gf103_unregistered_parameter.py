"""A leaf that gets a gradient, but is in no module's `parameters()`.

## What it checks
Tensors that require grad, that a module holds in an attribute, a plain list or a dict, that the loss reaches, and that no root module's
`parameters()` yields. The line named is the assignment. It is info where an optimizer that stepped holds the tensor all the same: it is
trained, and only missing from `state_dict()`.

## Why it matters
`optimizer = Adam(model.parameters())` does not see it, `model.to(device)` does not move it, `state_dict()` does not save it. It gets a
gradient in every step, and it never changes.

## Example
```python
self.layers = [nn.Linear(8, 8) for _ in range(4)]
self.scale = nn.Parameter(torch.ones(8)).to(device)  # `.to` returns a tensor that is no Parameter
```

## Use instead
```python
self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
self.scale = nn.Parameter(torch.ones(8, device=device))
```
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from gradflow.checks.base import Case, cause_site, count
from gradflow.checks.naming import joined, tokens
from gradflow.graph.recording import Membership
from gradflow.graph.site import Site
from gradflow.report import Finding, Severity
from gradflow.verdict import Verdict

CODE = "GF103"
NAME = "unregistered-parameter"
SEVERITY = Severity.ERROR


def find(case: Case) -> Iterable[Finding]:
    """One finding for each assignment."""
    groups: dict[tuple[Site | None, str, bool], list[int]] = {}
    for index in case.free(Verdict.LIVE, Verdict.ZERO, Verdict.NONFINITE, Verdict.UNDEFINED):
        fact = case.facts[index]
        if fact.membership is Membership.HIDDEN:
            key = (fact.definition, "" if fact.definition else _container([fact.name]), fact.stepped)
            groups.setdefault(key, []).append(index)
    for (site, _, stepped), members in groups.items():
        yield _finding(case, site, members, stepped)


def _container(names: list[str]) -> str:
    """The attribute that holds all of `names`: `hidden_layers` for `hidden_layers[0].weight` and its like."""
    columns = zip(*(tokens(name) for name in names), strict=False)
    common = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)] or tokens(names[0])
    bracket = next((number for number, part in enumerate(common) if part.startswith("[")), len(common))
    return joined(common[:bracket])


def _finding(case: Case, site: Site | None, members: list[int], stepped: bool) -> Finding:
    names = case.names(members)
    container = _container(list(names))
    if names == (container,):
        message = f"`{container}` gets a gradient, but is in no module's `parameters()`"
    else:
        message = f"`{container}` holds {count(len(names))} that {_verb(names)} in no module's `parameters()`"
    notes = ["an optimizer holds it by hand, so it is trained; `state_dict()` and `.to()` still pass it over"] if stepped else []
    return Finding(
        CODE,
        NAME,
        Severity.INFO if stepped else SEVERITY,
        message,
        names,
        sites=cause_site(site, "is not registered with the module"),
        help=(_help(container, names, site),),
        notes=tuple(notes),
    )


def _verb(names: tuple[str, ...]) -> str:
    return "is" if len(names) == 1 else "are"


def _help(container: str, names: tuple[str, ...], site: Site | None) -> str:
    rest = tokens(names[0])[len(tokens(container)) :]
    last = container.rpartition(".")[2]
    if rest and rest[0].startswith("["):
        kind = "Module" if len(rest) > 1 else "Parameter"
        if rest[0][1:-1].isdigit():
            return f"register it: `self.{last} = nn.{kind}List([...])`"
        return f"register it: `self.{last} = nn.{kind}Dict({{...}})`"
    if rest:
        return f"register it: let `{last}` be an `nn.Module`, and assign it to an attribute of the module"
    if site and "Parameter(" in site.source:
        return f"register it: let `self.{last}` be the `nn.Parameter` itself, and move the module; `.to()` returns a plain tensor"
    return f"register it: `self.{last} = nn.Parameter(...)`"
