"""What the user calls a thing: the variable that holds a model, an optimizer or a tensor, read from the frames that are running.

Outermost frame first, so that `model` in the script wins over an argument's name further in; `self` is no name, but its attributes are.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

import torch

from gradflow.capture.flow.frames import is_library

_ALIASES = frozenset({"self", "cls", "_", "__class__"})
_LOOKED_INTO = 256


def learn_names(wanted: Iterable[object], frame: FrameType | None) -> dict[int, str]:
    """Names of the `wanted` objects by `id`; those that no variable holds are absent."""
    missing = {id(value) for value in wanted}
    names: dict[int, str] = {}
    for scope in _scopes(frame):
        if not missing:
            break
        for depth in (0, 1):
            for name, value in list(scope.items()):
                if name.startswith("__"):
                    continue
                for path, found in _members(name, value) if depth else ((name, value),):
                    if id(found) in missing and path not in _ALIASES:
                        names[id(found)] = path
                        missing.discard(id(found))
    return names


def variable_of(path: str) -> str:
    """The variable's own name in what `learn_names` gives: `trainer.model` is `model`."""
    return path.rsplit(".", 1)[-1] if path.isidentifier() or "[" not in path else path


def _scopes(frame: FrameType | None) -> Iterator[dict[str, Any]]:
    frames: list[FrameType] = []
    while frame is not None:
        if not is_library(frame.f_code.co_filename):
            frames.append(frame)
        frame = frame.f_back
    main = sys.modules.get("__main__")
    seen: set[int] = set()
    if main is not None and not is_library(getattr(main, "__file__", None) or "<none>"):
        seen.add(id(main.__dict__))
        yield main.__dict__
    for current in reversed(frames):
        if current.f_locals is not current.f_globals:
            scope = current.f_locals
            yield scope
            if sys.version_info < (3, 13) and current.f_code.co_flags & inspect.CO_OPTIMIZED:
                # Up to Python 3.12 this is a copy that lives as long as the frame, and would keep the user's model alive.
                scope.clear()
        if id(current.f_globals) not in seen:
            seen.add(id(current.f_globals))
            yield current.f_globals


def _members(name: str, value: object) -> Iterator[tuple[str, object]]:
    """One level into a container or an object; `self.model` is called `model`."""
    if isinstance(value, (torch.Tensor, str, bytes, type)):
        return
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value[:_LOOKED_INTO]):
            yield f"{name}[{index}]", item
    elif isinstance(value, dict):
        for key, item in list(value.items())[:_LOOKED_INTO]:
            yield (f"{name}.{key}" if isinstance(key, str) and key.isidentifier() else f"{name}[{key!r}]"), item
    elif not isinstance(value, torch.nn.Module):
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict) and not callable(value):
            prefix = "" if name in _ALIASES else f"{name}."
            for key, item in list(attributes.items())[:_LOOKED_INTO]:
                yield prefix + key.lstrip("_"), item
