"""GF103 from the source: layers in a plain list, tuple or dict of a module, and what `nn.Parameter(...).to(device)` returns.

What another attribute registers as well is not reported, nor is what the class hands to a module, to an optimizer or to `add_module`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradflow.report import Role, Severity
from gradflow.static.classflow import ClassFlow
from gradflow.static.machine import UnitSite
from gradflow.static.names import Class
from gradflow.static.paths import fold_paths
from gradflow.static.rules.base import Draft, FileFacts, found
from gradflow.static.spelling import last_name

CODE = "GF103"
NAME = "unregistered-parameter"

MOVES = frozenset({"to", "cuda", "cpu", "half", "float", "double", "type", "bfloat16", "clone"})
FLOATING = frozenset({"ones", "zeros", "empty", "rand", "randn"})


def find(facts: FileFacts) -> Iterator[Draft]:
    """One finding for each container, and for each parameter that is moved after it was made."""
    for flow in facts.flows:
        groups: dict[str, list[UnitSite]] = {}
        for unit in flow.hidden:
            groups.setdefault(unit.path.split(".")[0], []).append(unit)
        for attribute, units in groups.items():
            if not _registered_elsewhere(flow, attribute):
                yield _in_container(flow, attribute, units)
    for owner in facts.modules:
        yield from _moved(facts, owner)


def _registered_elsewhere(flow: ClassFlow, attribute: str) -> bool:
    """Whether the class does anything with the container that may register or train what it holds, or never uses it."""
    text = "\n".join(entry.module.source.segment(entry.node) for entry in flow.lineage.classes)
    name = rf"self\.{re.escape(attribute)}\b"
    if len(re.findall(name, text)) < 2:
        return True
    taken = rf"(?:ModuleList|ModuleDict|Sequential|add_module|register_module|setattr|extend|chain)\([^\n]*{name}"
    loop = rf"for [^\n]*{name}[^\n]*:\s*\n(?:[^\n]*\n){{0,3}}?[^\n]*(?:add_module|register_module|setattr)\("
    listed_by_hand = re.search(r"def (?:named_)?parameters\(|def named_modules\(|def __setattr__|_modules\[", text)
    return bool(re.search(taken, text) or re.search(loop, text) or listed_by_hand)


def _in_container(flow: ClassFlow, attribute: str, units: list[UnitSite]) -> Draft:
    paths = fold_paths(unit.path for unit in units)
    site = units[0].module.source.site(units[0].node, units[0].function)
    definition = _assignment(flow.owner, attribute)
    source = flow.owner.module.source
    sites = (
        [(Role.CAUSE, source.site(definition, f"{flow.owner.name}.__init__"), "is not registered with the module")] if definition else []
    )
    sites = sites or [(Role.CAUSE, site, "is not registered with the module")]
    is_dict = isinstance(definition, ast.Assign | ast.AnnAssign) and isinstance(definition.value, ast.Dict | ast.DictComp)
    of = "Parameter" if all(unit.what == "Parameter" for unit in units) else "Module"
    kind = f"nn.{of}Dict({{...}})" if is_dict else f"nn.{of}List([...])"
    return Draft(
        found(
            (CODE, NAME),
            Severity.ERROR,
            f"`{attribute}` holds layers in a plain container, so they are in no module's `parameters()`",
            sites,
            parameters=paths,
            help=[f"register them: `self.{attribute} = {kind}`"],
            notes=[f"read in the class `{flow.owner.name}`, and not run"],
        )
    )


def _assignment(owner: Class, attribute: str) -> ast.stmt | None:
    init = owner.methods.get("__init__")
    for node in ast.walk(init) if init is not None else ():
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        for target in targets:
            if isinstance(target, ast.Attribute) and target.attr == attribute and last_name(target.value) == "self":
                assert isinstance(node, ast.stmt)
                return node
    return None


def _moved(facts: FileFacts, owner: Class) -> Iterator[Draft]:
    """`self.w = nn.Parameter(...).to(device)`: what is assigned is the result of an operation, and no Parameter."""
    init = owner.methods.get("__init__")
    source = owner.module.source
    if init is None or "Parameter(" not in source.segment(init):
        return
    for node in ast.walk(init):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target, how = node.targets[0], _operation(node.value)
        if how and isinstance(target, ast.Attribute) and last_name(target.value) == "self":
            certain = how not in ("to", "cpu", "float", "type")
            yield Draft(
                found(
                    (CODE, NAME),
                    Severity.ERROR if certain else Severity.WARNING,
                    f"`{target.attr}` {'is' if certain else 'may be'} in no module's `parameters()`: "
                    f"`{how}` returns a plain tensor" + ("" if certain else " where it changes anything"),
                    [(Role.CAUSE, source.site(node, f"{owner.name}.__init__"), "is not registered with the module")],
                    parameters=[target.attr],
                    help=[f"let `self.{target.attr}` be the `nn.Parameter` itself, and move the module"],
                    notes=[f"read in the class `{owner.name}`, and not run"],
                )
            )


def _operation(value: ast.expr) -> str:
    """The outermost operation on a new Parameter, empty where there is none."""
    if isinstance(value, ast.BinOp) and (_is_parameter(value.left) or _is_parameter(value.right)):
        return type(value.op).__name__.lower()
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in MOVES
        and _is_parameter(value.func.value)
    ):
        same = value.func.attr == "float" and _is_floating(value.func.value)
        return "" if same else value.func.attr
    return ""


def _is_floating(parameter: ast.expr) -> bool:
    """Whether it is made of floating numbers as torch makes them unless told otherwise: `.float()` leaves it what it is."""
    made = parameter.args[0] if isinstance(parameter, ast.Call) and parameter.args else None
    return isinstance(made, ast.Call) and last_name(made.func) in FLOATING and not any(entry.arg == "dtype" for entry in made.keywords)


def _is_parameter(node: ast.expr) -> bool:
    """A call of `nn.Parameter` that is trained."""
    if not isinstance(node, ast.Call) or last_name(node.func) != "Parameter":
        return False
    return not any(keyword.arg == "requires_grad" for keyword in node.keywords)
