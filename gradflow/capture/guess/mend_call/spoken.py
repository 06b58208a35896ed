"""Which arguments of a call an error speaks of, the likeliest first."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape
from gradflow.capture.guess.sources import function_at

_WORD = re.compile(r"[A-Za-z_]\w*")


def spoken_arguments(call: Call, failure: Failure) -> list[str]:
    """Those that the failing line was handed themselves, then those as large as what the running layer was given, then those named in the
    message, then those in the failing lines, then those that the names in the failing line of `forward` were computed from."""
    by_layer = [name for name, shape in call.tensors().items() if failure.leaf is not None and shape.sizes in failure.leaf.shapes]
    words = _WORD.findall(failure.message) + [word for spot in reversed(failure.spots) for word in _WORD.findall(spot.text)]
    given = [name for name, _ in call.arguments]
    named = [word for word in words if word in given]
    ordered = dict.fromkeys([*named, *_behind(failure, given), *given])
    handed = _handed(failure, given)
    return sorted(ordered, key=lambda name: (name not in handed, name not in by_layer))


def _handed(failure: Failure, given: list[str]) -> set[str]:
    """The arguments that are the very tensors that the failing line names, by whatever name they have come to it."""
    if not failure.own or len(failure.spots) < 2:
        return set()
    last = failure.spots[-1]
    named = [last.variables[word] for word in dict.fromkeys(_WORD.findall(last.text)) if isinstance(last.variables.get(word), torch.Tensor)]
    return {name for name in given if any(value is failure.own[0].variables.get(name) for value in named)}


def _behind(failure: Failure, given: list[str]) -> Iterator[str]:
    """The arguments behind what stands in the line of the first frame that has them, those computed in the fewest steps first.

    `times = self.embed(ids.flatten())`, and then `self.project(times)` fails: that is `ids`.
    """
    spot = next((spot for spot in failure.own if given and all(name in spot.variables for name in given if name)), None)
    function = function_at(spot.file, spot.line) if spot is not None else None
    if spot is None or function is None:
        return
    assigned: dict[str, list[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and node.lineno < spot.line:
            read = [part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)]
            for target in (part for whole in node.targets for part in ast.walk(whole) if isinstance(part, ast.Name)):
                assigned.setdefault(target.id, []).extend(read)
    names = _WORD.findall(spot.text.partition("=")[2] or spot.text)
    seen: set[str] = set()
    while names:
        yield from (name for name in names if name in given and name not in seen)
        seen.update(names)
        names = [name for known in names for name in assigned.get(known, ()) if name not in seen]


def spoken_tensors(call: Call, failure: Failure) -> dict[str, Shape]:
    """Those of them that are one tensor each."""
    tensors = call.tensors()
    return {name: tensors[name] for name in spoken_arguments(call, failure) if name in tensors}
