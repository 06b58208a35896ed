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
    written = [
        word
        for spot in reversed(failure.spots)
        for word in _WORD.findall(spot.text)
        if word in (whole if spot in own else handed | (_stored(spot) & set(whole)))
    ]
    nested = {last: name for last, name in fields.items() if "." in name}
    inner = [nested[word] for spot in reversed(failure.spots) for word in _WORD.findall(spot.text) if word in nested]
    used = [name for name in written if is_used_so(name, failure)]
    blamed = list(dict.fromkeys([*spoken, *used, *inner, *written]))
    return [name for name in blamed if _is_of_the_kind(given[name], failure.message)] or blamed


_USES = (
    (r"has no len", r"\blen\(\s*{0}\s*\)"),
    (r"not subscriptable", r"\b{0}\["),
    (r"not iterable|cannot unpack", r"(\bin|zip\(|enumerate\(|\*|,|=)\s*{0}\b(?!\s*[=(])"),
    (r"not callable", r"\b{0}\("),
    (r"has no attribute", r"\b{0}\.\w"),
)
"""What a line does with the value that an error complains of."""


def is_used_so(name: str, failure: Failure) -> bool:
    """Whether the innermost line that names the argument does with it what the error says cannot be done."""
    text = next((spot.text for spot in reversed(failure.spots) if re.search(rf"\b{name}\b", spot.text)), "")
    return any(re.search(said, failure.message) and re.search(use.format(name), text) for said, use in _USES)


def _stored(spot: Spot) -> set[str]:
    """What a line reads from `self`, where a constructor keeps its arguments by their own names."""
    return set(re.findall(r"\bself\.(\w+)", spot.text))


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
