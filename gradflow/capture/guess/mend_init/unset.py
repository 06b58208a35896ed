"""A field of a configuration is None where a number is needed: it gets the usual value of its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch

from gradflow.capture.guess.attempt import Failure, Spot, attempt
from gradflow.capture.guess.subject import Construction, Subject
from gradflow.capture.guess.usual import tells_something, usual_value

_NONE = re.compile(r"NoneType|\bNone\b")
_READ = re.compile(r"((?:self\.)?\w+)\.(\w+)")


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Those that the failing line reads, together; where there are none, those of the line that called it, and so on outwards."""
    if not _NONE.search(failure.message):
        return
    for spot in reversed(failure.own):
        mended = construction
        for owner, name in dict.fromkeys(_READ.findall(spot.text)):
            held = _held(spot, owner)
            path = _path(construction, held, failure) if _is_unset(held, name) else ""
            mended = mended.with_argument(f"{path}.{name}", usual_value(name)) if path else mended
        if mended != construction:
            yield mended
            return


def _held(spot: Spot, owner: str) -> Any:
    """What `config` or `self.config` is in a frame, None where there is no such thing."""
    first, _, rest = owner.partition(".")
    value = spot.variables.get(first)
    return vars(value).get(rest) if rest and hasattr(value, "__dict__") else value if not rest else None


def _is_unset(held: Any, name: str) -> bool:
    if held is None or isinstance(held, (torch.nn.Module, type)) or not tells_something(name):
        return False
    value, failure = attempt(lambda: getattr(held, name), 1.0)
    return failure is None and value is None


def _path(construction: Construction, held: Any, failure: Failure) -> str:
    """The argument that is the configuration `held`, or the field of one that is; empty where it is neither."""
    calls = {text.partition("(")[0]: name for name, text in construction.arguments if name and re.match(r"[A-Z]\w*\(", text)}
    if type(held).__name__ in calls:
        return calls[type(held).__name__]
    for spot in failure.own:
        for whole in spot.variables.values():
            if type(whole).__name__ in calls and hasattr(whole, "__dict__"):
                for field, value in vars(whole).items():
                    if value is held:
                        return f"{calls[type(whole).__name__]}.{field}"
    return ""
