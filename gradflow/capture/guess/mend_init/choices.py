"""An argument has to be one of several: the keys of a dict that it was looked up in, words that the message or the code names."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure, Spot
from gradflow.capture.guess.mend_init.blamed import blamed_arguments
from gradflow.capture.guess.sources import definition_of
from gradflow.capture.guess.subject import Construction, Subject, parameters_of

_MOST = 4
_TYPES = {"NoneType", "Tensor", "Parameter", "function", "module"}
"""Quoted in a message, these are what an argument is, and not what it should be."""
_LISTED = re.compile(r"(?:one of|choose from|must be in|\bsupported|options are|available)[^:\[({]*[:\[({]?\s*(.*)")

_UNREGISTERED = re.compile(r"(?i)\bunknown (model|architecture|backbone|encoder)\b|no (model|architecture) named")
"""A registry of models does not know the name; most of them know these."""


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The first few choices, where the error is one of choice."""
    kinds = (LookupError, ValueError, NotImplementedError, AssertionError, NameError)
    is_choice = (
        isinstance(failure.error, kinds)
        or isinstance(failure.error.__context__, KeyError)
        or any(pattern.search(failure.message) for pattern in (_LISTED, _UNREGISTERED))
    )
    if not failure.spots or not is_choice:
        return
    spot = failure.spots[-1]
    # of a configuration only the fields are changed
    given = {name: text for name, text in construction.given().items() if not re.match(r"[A-Z]\w*\(", text)}
    blamed = [name for name in blamed_arguments(construction, failure) if name in given]
    blamed += [name for name, text in given.items() if name not in blamed and text.startswith("'")]
    blamed += [name for name in given if "." not in name] if not blamed else []
    for name in blamed[:3]:
        for value in dict.fromkeys([*_keys(spot, failure), *_in_message(failure), *_compared(subject, name)]):
            if repr(value) != given[name]:
                yield construction.with_argument(name, repr(value))


def _keys(spot: Spot, failure: Failure) -> list[object]:
    """The keys of the dicts that the failing line looks into."""
    if not isinstance(failure.error, KeyError):
        return _keys_looked_up(spot) if isinstance(failure.error.__context__, KeyError) else []
    names = re.findall(r"[A-Za-z_]\w*", spot.text)
    tables = [spot.variables.get(name, spot.scope.get(name)) for name in names]
    tables += [getattr(spot.variables.get("self"), name, None) for name in names]
    found: list[object] = [key for table in tables if isinstance(table, dict) for key in list(table)[:_MOST] if isinstance(key, (str, int))]
    return found or _keys_looked_up(spot)


def _keys_looked_up(spot: Spot) -> list[object]:
    """The keys of the dicts at hand, where a failing look-up was turned into another error."""
    own = vars(spot.variables["self"]) if hasattr(spot.variables.get("self"), "__dict__") else {}
    tables = [value for value in (*spot.variables.values(), *own.values()) if isinstance(value, dict)]
    return [key for table in tables for key in list(table)[:_MOST] if isinstance(key, str) and not key.startswith("_")]


def _in_message(failure: Failure) -> list[object]:
    if isinstance(failure.error, KeyError):
        return []
    listed = _LISTED.search(failure.message)
    words = re.findall(r"[\w-]+(?:\.[\w-]+)*", listed[1]) if listed else []
    named = [word for word in words if word not in ("or", "and", "the", "a") and not word.isdigit()]
    quoted = [word for word in re.findall(r"['\"`]([\w./-]+)['\"`]", failure.message) if not hasattr(builtins, word) and word not in _TYPES]
    registered = ["resnet18", "vit_tiny_patch16_224"] if _UNREGISTERED.search(failure.message) else []
    return [*registered, *named[:_MOST], *quoted[:_MOST]]


def _compared(subject: Subject, name: str) -> list[object]:
    """The constants that the class's source compares the argument with."""
    tree = definition_of(subject.cls)
    found: list[object] = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Compare) and ast.unparse(node.left) in (name, f"self.{name}", f"{name}.lower()"):
            for other in node.comparators:
                found += [part.value for part in ast.walk(other) if isinstance(part, ast.Constant) and isinstance(part.value, (str, int))]
    default = parameters_of(subject.cls).get(name)
    return [value for value in found if default is None or value != default.default][:_MOST]
