"""The entries of a dict are mended as arguments are: of `inputs={'image': float32[2,3,8,8]}`, `image=float32[2,3,8,8]` is mended."""

from __future__ import annotations

import ast
from dataclasses import replace

from gradflow.capture.guess.call import Call


def opened(call: Call) -> Call:
    """The call with the entries of its dicts in place of these; the call itself where it has none."""
    arguments: list[tuple[str, str]] = []
    for name, text in call.arguments:
        arguments += _entries(text).items() or [(name, text)]
    names = [name for name, _ in arguments if name]
    return replace(call, arguments=tuple(arguments)) if len(names) == len(set(names)) else call


def closed(call: Call, whole: Call) -> Call:
    """The call with the entries in the dicts of `whole` again; what is new is an argument of its own."""
    given, inside = call.given(), {key: name for name, text in whole.arguments for key in _entries(text)}
    arguments = [(name, _written({key: given[key] for key in keys if key in given}) if (keys := _entries(text)) else given.get(name, text))
                 for name, text in whole.arguments]  # fmt: skip
    known = {*inside, *whole.given()}
    return replace(call, arguments=(*arguments, *((name, text) for name, text in call.arguments if name not in known)))


def _written(entries: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key!r}: {text}" for key, text in entries.items()) + "}"


def _entries(text: str) -> dict[str, str]:
    """The items of a dict, as text; none where it is no dict of names."""
    try:
        node = ast.parse(text, mode="eval").body if text.startswith("{") else None
    except SyntaxError:
        return {}
    if not isinstance(node, ast.Dict):
        return {}
    keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
    texts = [(ast.get_source_segment(text, value) or "").strip() for value in node.values]
    named = {key: value for key, value in zip(keys, texts, strict=True) if isinstance(key, str) and key.isidentifier()}
    return named if len(named) == len(keys) else {}
