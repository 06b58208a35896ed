"""A configuration that is made up as it is read: each attribute gets the usual value of its name. What was read can be written down."""

from __future__ import annotations

import ast
from typing import Any

from gradflow.capture.guess.usual import usual_value


class Made:
    """Answers any attribute or key with the usual value of that name, and keeps what it answered."""

    def __init__(self, **known: Any) -> None:
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value: Any = _value(name)
        self.__dict__[name] = value
        return value

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dict: what is not there is the default."""
        return self.__dict__.get(name, default)

    def text(self) -> str:
        """The call that makes an equal one."""
        return f"Made({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


def _value(name: str) -> Any:
    try:
        return ast.literal_eval(usual_value(name))
    except ValueError:
        return 2
