"""An argument, or a field of a configuration, is None or missing where a number is needed: it gets the usual value of its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch

from gradflow.capture.guess.attempt import Failure, Spot, attempt
from gradflow.capture.guess.conditions import conditions_at
from gradflow.capture.guess.sources import definition_of
from gradflow.capture.guess.subject import Construction, Subject, parameters_of
from gradflow.capture.guess.usual import annotation_of, tells_something, usual_value

_NONE = re.compile(r"NoneType|\bNone\b")
_LACKS = re.compile(r"'(\w+)' object has no attribute '(\w+)'")
UNSET = re.compile(r"(must|has to|have to|needs? to|should|please) (be )?(define|specif|provide|set|given|pass|suppl)", re.IGNORECASE)
"""A message that asks for an argument."""
_ABOVE = 20
"""Lines above the failing one in which its names may get their values."""
_WORD = re.compile(r"[A-Za-z_]\w*")
_READ = re.compile(r"((?:self\.)?\w+)\.(\w+)")
_KEPT_INSIDE = re.compile(r"((?:self\.)?\w+)\.\w+\[['\"](\w+)['\"]\]")
"""`config.rope_parameters["rope_theta"]`: the configuration takes `rope_theta` itself, and keeps it inside."""

_ENTRY = re.compile(r"((?:self\.)?\w+)\.(\w+)\[[^\]]+\]\s*[!=]=\s*['\"](\w+)['\"]")
_DEPTHS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "depth")


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Those that the failing line reads, together; where there are none, those of the line that called it, and so on outwards."""
    wants = any(said.search(failure.message) for said in (_NONE, _LACKS, UNSET))
    if not wants and not any(map(_refused, failure.own[-1:])):
        return
    yield from _arguments(construction, failure, subject)
    yield from _one_a_layer(construction, failure)
    for spot in reversed(failure.own):
        mended = construction
        text = spot.text + _assigned(spot)
        reads = [*_READ.findall(text), *_KEPT_INSIDE.findall(text), *_refused(spot)]
        reads += [*_of_the_same_name(spot, failure.message), *_kept_as_another(spot)]
        for owner, name in dict.fromkeys(reads):
            held = _held(spot, owner)
            path = path_of(construction, held, failure) if _is_unset(held, name) or _lacks(failure, held, name) else ""
            mended = mended.with_argument(f"{path}.{name}", usual_value(name)) if path else mended
        if mended != construction:
            yield mended
            return


def _one_a_layer(construction: Construction, failure: Failure) -> Iterator[Construction]:
    """A field that has an entry for each layer, `config.kinds[i] == "attention"`, with that entry for every layer."""
    if not failure.own:
        return
    spot = failure.own[-1]
    for owner, name, word in _ENTRY.findall(spot.text):
        held = _held(spot, owner)
        path = path_of(construction, held, failure) if held is not None and getattr(held, name, word) is None else ""
        number = next((found for field in _DEPTHS if type(found := getattr(held, field, None)) is int), 0)
        if path and number:
            yield construction.with_argument(f"{path}.{name}", repr([word] * number))


def _arguments(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """With the arguments that are None by default and that the message names, or the failing line, or the line that called it: each alone,
    then together."""
    given = construction.given()
    parameters = parameters_of(subject.scope.get(construction.callee))
    texts = [failure.message, *(spot.text for spot in reversed(failure.own))]
    for text in texts:
        unset = [
            name
            for name in dict.fromkeys(_WORD.findall(text))
            if given.get(name) == "None" and name in parameters and tells_something(name)
        ]
        values = {name: usual_value(name, annotation_of(parameters[name])) for name in unset}
        for name, value in values.items():
            yield construction.with_argument(name, value)
        if len(values) > 1:
            yield construction.with_arguments(values)
        if values:
            return


def _of_the_same_name(spot: Spot, message: str) -> list[tuple[str, str]]:
    """(variable, field) for each name in the failing line that is None and may have been read from a field of that name, and for each
    that the message asks for."""
    own = getattr(spot.variables.get("self"), "__dict__", {})
    words = [word for word in dict.fromkeys(_WORD.findall(spot.text)) if {**own, **spot.variables}.get(word, word) is None]
    asked = _WORD.findall(message) if UNSET.search(message) else []
    holders = {owner: held for owner, held in spot.variables.items() if hasattr(held, "__dict__") and owner != "self"}
    same = [(owner, word) for word in words for owner, held in holders.items() if word in vars(held)]
    return [*same, *((owner, word) for word in asked for owner in holders)]


def _refused(spot: Spot) -> list[tuple[str, str]]:
    """(configuration, field) for each field that must not be None for the line to be passed by: `if config.vocab_size is None: raise`."""
    found: list[tuple[str, str]] = []
    for test, _ in conditions_at(spot):
        for node in ast.walk(test):
            match node:
                case ast.Compare(
                    left=ast.Attribute(value=owner, attr=field), ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None)]
                ):
                    found.append((ast.unparse(owner), field))
    return found


def _kept_as_another(spot: Spot) -> list[tuple[str, str]]:
    """("config", field) for each attribute in the failing line that is None and was a field: `self.top_k = config.num_experts`, or
    `self.width = getattr(config, "width", 16)` where there is a `width`, which is None."""
    layer: Any = spot.variables.get("self")
    unset = {name for name in re.findall(r"\bself\.(\w+)", spot.text) if getattr(layer, "__dict__", {}).get(name, name) is None}
    kind: Callable[..., Any] = type(layer)
    definition = definition_of(kind) if unset else None
    return [
        (owner, field)
        for node in (ast.walk(definition) if definition is not None else ())
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Attribute) and target.attr in unset for target in node.targets)
        and (field := _field_read(node.value))
        for owner in ("self.config", "config")
    ]


def _field_read(value: ast.expr) -> str:
    """`width` of `config.width` and of `getattr(config, "width", 16)`, empty for anything else."""
    match value:
        case ast.Attribute(attr=field):
            return field
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str() as field), *_]):
            return field
    return ""


def _assigned(spot: Spot) -> str:
    """The lines above the failing one that gave a name in it the value None."""
    names = [name for name in _WORD.findall(spot.text) if name in spot.variables and spot.variables[name] is None]
    return "".join(line for line in spot.above(_ABOVE) if any(re.match(rf"\s*{name}\s*=[^=]", line) for name in names))


def _held(spot: Spot, owner: str) -> Any:
    """What `config` or `self.config` is in a frame, None where there is no such thing."""
    first, _, rest = owner.partition(".")
    value = spot.variables.get(first)
    return vars(value).get(rest) if rest and hasattr(value, "__dict__") else value if not rest else None


def _is_unset(held: Any, name: str) -> bool:
    """Whether the field is None and its name tells what it may be."""
    if held is None or isinstance(held, (torch.nn.Module, type)) or not tells_something(name):
        return False
    value, failure = attempt(lambda: getattr(held, name, None), 1.0)
    return failure is None and value is None


def _lacks(failure: Failure, held: Any, name: str) -> bool:
    """Whether the error says that there is no such field; one that is a configuration itself cannot be given."""
    missing = _LACKS.search(failure.message)
    return missing is not None and missing.groups() == (type(held).__name__, name) and not name.endswith("_config")


def path_of(construction: Construction, held: Any, failure: Failure) -> str:
    """The argument that is the configuration `held`, or the field of one that is it or a copy of it; empty where it is neither."""
    calls = {text.partition("(")[0]: name for name, text in construction.arguments if name and re.match(r"[A-Z]\w*\(", text)}
    if type(held).__name__ in calls:
        return calls[type(held).__name__]
    wholes = [whole for spot in failure.own for whole in spot.variables.values() if type(whole).__name__ in calls]
    for is_held in (lambda value: value is held, lambda value: hasattr(value, "__dict__") and type(value) is type(held)):
        for whole in wholes:
            for field, value in getattr(whole, "__dict__", {}).items():
                if is_held(value):
                    return f"{calls[type(whole).__name__]}.{field}"
    return ""
