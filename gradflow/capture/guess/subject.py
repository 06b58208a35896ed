"""What a guess is about, and what a guess is: a class or function of the user's file, and a call of it as text."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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

    @property
    def text(self) -> str:
        """The call, as it would be written."""
        return f"{self.callee}({self.init})"

    @property
    def init(self) -> str:
        """What stands between its brackets, as `--init` takes it."""
        return ", ".join(f"{name}={text}" if name else text for name, text in self.arguments)

    def given(self) -> dict[str, str]:
        """The named arguments, and the fields of those that are a call themselves as `config.width`."""
        whole = {name: text for name, text in self.arguments if name}
        return {**whole, **{f"{name}.{field}": value for name, text in whole.items() for field, value in _fields(text).items()}}

    def with_argument(self, name: str, text: str) -> Construction:
        """The same with one named argument, or one field of one, changed or added."""
        outer, dot, field = name.partition(".")
        if dot:
            return self.with_argument(outer, _with_field(dict(self.arguments)[outer], field, text))
        given = [(known, text if known == name else value) for known, value in self.arguments]
        if name not in {known for known, _ in given}:
            given.append((name, text))
        return Construction(self.callee, tuple(given), self.rule, self.example, self.mendable)

    def without(self, name: str) -> Construction:
        """The same without one named argument."""
        return Construction(
            self.callee, tuple(entry for entry in self.arguments if entry[0] != name), self.rule, self.example, self.mendable
        )


def _fields(text: str) -> dict[str, str]:
    """The named arguments of an expression that is a call of a name."""
    if not re.match(r"[A-Za-z_]\w*\(", text):
        return {}
    call = ast.parse(text, mode="eval").body
    return {entry.arg: ast.unparse(entry.value) for entry in call.keywords if entry.arg} if isinstance(call, ast.Call) else {}


def _with_field(text: str, field: str, value: str) -> str:
    """The same call with another value of one of its named arguments."""
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    call.keywords = [entry for entry in call.keywords if entry.arg != field]
    call.keywords.append(ast.keyword(field, ast.parse(value, mode="eval").body))
    return ast.unparse(call)


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
