"""Which arguments of a construction an error speaks of: those in the failing expression, from the innermost frame outwards."""

from __future__ import annotations

import re

from gradflow.capture.guess.attempt import Failure, Spot
from gradflow.capture.guess.subject import Construction

_WORD = re.compile(r"[A-Za-z_]\w*")


def blamed_arguments(construction: Construction, failure: Failure) -> list[str]:
    """Names of arguments, the likeliest first: named in the message, then in the failing lines of their constructor.

    A field of a configuration that is written out stands as `config.width`.
    """
    given = construction.given()
    fields: dict[str, str] = {}
    for name in given:
        fields.setdefault(name.rpartition(".")[2], name)
    whole = [name for name in given if "." not in name]
    spoken = [fields[word] for word in _WORD.findall(failure.message) if word in fields]
    own = [spot for spot in failure.spots if all(name in spot.variables or name in _free(spot) for name in whole)]
    handed = {name for name in whole if own and name not in own[-1].variables}
    written = [word for spot in reversed(failure.spots) for word in _WORD.findall(spot.text) if word in (whole if spot in own else handed)]
    nested = {last: name for last, name in fields.items() if "." in name}
    inner = [nested[word] for spot in reversed(failure.spots) for word in _WORD.findall(spot.text) if word in nested]
    blamed = list(dict.fromkeys([*spoken, *inner, *written]))
    return [name for name in blamed if _is_of_the_kind(given[name], failure.message)] or blamed


def _free(spot: Spot) -> set[object]:
    """The names of the free keywords of a function, `**kwargs`, which it may hand on to another."""
    return {name for value in spot.variables.values() if isinstance(value, dict) for name in value}


_KINDS = {
    "int": r"-?\d+$",
    "float": r"-?\d*\.\d+|\d+e",
    "str": r"['\"]",
    "tuple": r"\(",
    "list": r"\[",
    "dict": r"\{",
    "NoneType": r"None$",
    "bool": r"(True|False)$",
    "function": r"lambda",
}


def _is_of_the_kind(text: str, message: str) -> bool:
    """Whether the text is what the message complains of: `'int' object is not callable`, `type object 'Block' has no attribute ...`."""
    found = re.search(r"type object '(\w+)'|'(\w+)' object|object of type '(\w+)'", message)
    kind = next((word for word in found.groups() if word), "") if found else ""
    if kind in _KINDS:
        return re.match(_KINDS[kind], text) is not None
    return not kind or kind in text
