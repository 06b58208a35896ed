"""What a guess is about, and what a guess is: a class or function of the user's file, and a call of it as text."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradflow.capture.guess.examples import Example


@dataclass(frozen=True, slots=True)
class Subject:
    """A class that is to be built. `scope`: the names of its file; `examples`: of it and of the functions in `factories`."""

    name: str
    cls: type
    scope: Mapping[str, Any] = field(repr=False)
    examples: tuple[Example, ...] = ()
    factories: tuple[str, ...] = ()


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
        """The named arguments."""
        return {name: text for name, text in self.arguments if name}

    def with_argument(self, name: str, text: str) -> Construction:
        """The same with one named argument changed or added."""
        given = [(known, text if known == name else value) for known, value in self.arguments]
        if name not in {known for known, _ in given}:
            given.append((name, text))
        return Construction(self.callee, tuple(given), self.rule, self.example, self.mendable)

    def without(self, name: str) -> Construction:
        """The same without one named argument."""
        return Construction(
            self.callee, tuple(entry for entry in self.arguments if entry[0] != name), self.rule, self.example, self.mendable
        )


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
