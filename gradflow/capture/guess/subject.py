"""What a guess is about, and what a guess is: a class or function of the user's file, and a call of it as text."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gradflow.capture.guess.examples import Example


@dataclass(frozen=True, slots=True)
class Subject:
    """A class that is to be built. `scope`: the names of its file; `examples`: of it and of the functions in `factories`.

    `siblings`: all classes of the file, the main one first, for those that need another to be built. `further`: reads the examples that
    lie beside the file, which takes time. `words`: what the file compares the fields of a configuration with.
    """

    name: str
    cls: type
    scope: Mapping[str, Any] = field(repr=False)
    examples: tuple[Example, ...] = ()
    factories: tuple[str, ...] = ()
    siblings: Sequence[Subject] = field(default=(), repr=False, compare=False)
    further: Callable[[], tuple[Example, ...]] = field(default=tuple, repr=False, compare=False)
    words: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Construction:
    """A call that makes a model: `arguments` are (name, expression), the name empty for a positional one. `rule`: where it comes from."""

    callee: str
    arguments: tuple[tuple[str, str], ...] = ()
    rule: str = ""
    example: Example | None = field(default=None, compare=False)
    mendable: bool = True
    defaults: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def text(self) -> str:
        """The call, as it would be written."""
        return f"{self.callee}({self.init})"

    @property
    def init(self) -> str:
        """What stands between its brackets, as `--init` takes it."""
        return ", ".join(f"{name}={text}" if name else text for name, text in self.arguments)

    def given(self) -> dict[str, str]:
        """The named arguments, the defaults that it knows of, and the fields of an argument that is a call itself as `config.width`."""
        whole = {**dict(self.defaults), **{name: text for name, text in self.arguments if name}}
        return {**whole, **{f"{name}.{field}": value for name, text in whole.items() for field, value in _fields(text).items()}}

    def with_argument(self, name: str, text: str) -> Construction:
        """The same with one named argument, or one field of one, changed or added."""
        outer, dot, field = name.partition(".")
        if dot:
            return self.with_argument(outer, _with_field(dict(self.arguments)[outer], field, text))
        given = [(known, text if known == name else value) for known, value in self.arguments]
        if name not in {known for known, _ in given}:
            given.append((name, text))
        return replace(self, arguments=tuple(given))

    def with_arguments(self, texts: Mapping[str, str]) -> Construction:
        """The same with several changed or added."""
        changed = self
        for name, text in texts.items():
            changed = changed.with_argument(name, text)
        return changed

    def without(self, name: str) -> Construction:
        """The same without one named argument."""
        return replace(self, arguments=tuple(entry for entry in self.arguments if entry[0] != name))

    def with_defaults(self, function: Any) -> Construction:
        """The same that knows the simple values which the arguments that it does not give have by default."""
        simple = (int, float, str, bool, tuple, list, type(None))
        known = {name: entry.default for name, entry in parameters_of(function).items() if isinstance(entry.default, simple)}
        return replace(self, defaults=tuple((name, repr(value)) for name, value in known.items()))


def _fields(text: str) -> dict[str, str]:
    """The named arguments of an expression that is a call of a name, the items of one that is a dict."""
    if not re.match(r"[A-Za-z_]\w*\(|\{", text):
        return {}
    try:
        held = {name: ast.unparse(value) for name, value in _entries(ast.parse(text, mode="eval").body)}
    except SyntaxError:
        return {}  # it shows a value that has no expression, as `<object at 0x7f>`
    return {**held, **{f"{name}.{field}": value for name, inner in held.items() for field, value in _fields(inner).items()}}


def _entries(node: ast.expr) -> list[tuple[str, ast.expr]]:
    if isinstance(node, ast.Call):
        return [(entry.arg, entry.value) for entry in node.keywords if entry.arg]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return [(key.value, value) for key, value in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    return []


def _with_field(text: str, field: str, value: str) -> str:
    """The same call, or the same dict, with another value of one of its named arguments or items."""
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, (ast.Call, ast.Dict))
    field, dot, inner = field.partition(".")
    if dot:
        value = _with_field({name: ast.unparse(held) for name, held in _entries(node)}.get(field, "{}"), inner, value)
    new = ast.parse(value, mode="eval").body
    if isinstance(node, ast.Call):
        node.keywords = [*(entry for entry in node.keywords if entry.arg != field), ast.keyword(field, new)]
        return ast.unparse(node)
    kept = [(key, held) for key, held in zip(node.keys, node.values, strict=True) if not _is_text(key, field)]
    node.keys, node.values = [*(key for key, _ in kept), ast.Constant(field)], [*(held for _, held in kept), new]
    return ast.unparse(node)


def _is_text(node: ast.expr | None, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def parameters_of(function: Any) -> dict[str, inspect.Parameter]:
    """The parameters that a call of a class or function takes, `self` left out; none where there is no signature to be had."""
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}


def required(parameters: Mapping[str, inspect.Parameter]) -> list[inspect.Parameter]:
    """Those without a default."""
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [entry for entry in parameters.values() if entry.default is inspect.Parameter.empty and entry.kind not in free]
