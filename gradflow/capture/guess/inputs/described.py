"""The dimensions that an annotation, a docstring or a comment gives an argument: `Float[Tensor, "b t d"]`, `x: (B, C, H, W)`."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator

from torch import nn

_LIST = r"[\[(]\s*([A-Za-z_0-9]\w*(?:\s*[,x×*]\s*[A-Za-z_0-9]\w*)+)\s*,?\s*[\])]"
_NEAR = 240
"""Characters behind the name of an argument in which its dimensions stand."""


def described(model: nn.Module, argument: str, annotation: str) -> tuple[str, ...]:
    """The names of its dimensions, numbers as text; empty where nothing is said of them."""
    typed = re.search(r"\[.*Tensor.*,\s*['\"]([^'\"]+)['\"]", annotation)
    if typed is not None and "..." not in typed[1] and "*" not in typed[1]:
        return tuple(typed[1].split())
    for text in _texts(model):
        found = _behind(argument, text)
        if found:
            return found
    return ()


def _texts(model: nn.Module) -> Iterator[str]:
    """What is written about `forward`, the nearest first."""
    forward = inspect.unwrap(getattr(model.forward, "__func__", model.forward))
    yield inspect.getdoc(forward) or ""
    with contextlib.suppress(OSError, TypeError):  # made at run time: there is no source to read
        yield "\n".join(line.partition("#")[2] for line in inspect.getsource(forward).splitlines()[:12] if "#" in line)
    yield inspect.getdoc(type(model)) or ""


def _behind(argument: str, text: str) -> tuple[str, ...]:
    for place in re.finditer(rf"(?<![\w.]){re.escape(argument)}(?!\w)", text):
        rest = text[place.end() : place.end() + _NEAR]
        entry = re.split(r"\n\s*\n|\n\s*`?\w+`?\s*(?:\(|:)", rest)[0]
        words = listed_dimensions(entry)
        if words:
            return words
    return ()


def listed_dimensions(text: str) -> tuple[str, ...]:
    """The words of the first list of dimensions in a text, `(batch_size, 2, height, width)`; empty where there is none."""
    match = re.search(_LIST, text)
    words = tuple(word.strip() for word in re.split("," if "," in match[1] else "[x×*]", match[1])) if match else ()
    named = all(re.fullmatch(r"\w+", word) for word in words) and not all(word.isdigit() for word in words)
    return words if named else ()
