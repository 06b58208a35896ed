"""What an argument without a default has by default elsewhere: in another class of its file, or of the package that the file belongs to.

`Block(norm_name)` says nothing; `Net(norm_name="instance")` beside it does. Only what is imported already is asked, which costs nothing.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from gradflow.capture.guess.subject import Subject
from gradflow.capture.guess.usual import fits

_LARGEST = 256
"""A larger number makes a large model."""


def default_elsewhere(name: str, annotation: str, subject: Subject) -> str:
    """The expression that most of the functions and constructors have that give `name` a default; empty where none has.

    The file's own come first. None says nothing; what is of another kind than the annotation says, or cannot be written as an expression,
    is left out.
    """
    for modules in ([sys.modules.get(subject.cls.__module__)], _of_the_package(subject)):
        found = Counter(text for module in modules if module is not None for text in _defaults(name, module) if fits(text, annotation))
        if found:
            return found.most_common(1)[0][0]
    return ""


def _of_the_package(subject: Subject) -> list[ModuleType | None]:
    """The modules of its top-level package that are imported."""
    top = subject.cls.__module__.partition(".")[0]
    return [module for name, module in sorted(sys.modules.items()) if name.startswith(f"{top}.")]


def _defaults(name: str, module: ModuleType) -> Iterator[str]:
    """The defaults of arguments of that name in what the module itself defines, as expressions."""
    for value in list(vars(module).values()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        function = vars(value).get("__init__") if isinstance(value, type) else value
        text = _default(name, function) if isinstance(function, FunctionType) else ""
        if text:
            yield text


def _default(name: str, function: FunctionType) -> str:
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    given = {**dict(zip(names[len(names) - len(values) :], values, strict=True)), **(function.__kwdefaults__ or {})}
    return _written(given.get(name))


def _written(value: Any) -> str:
    """The value as an expression, empty where it is none of words and small numbers."""
    parts = value if isinstance(value, (tuple, list)) else (value,)
    simple = parts and all(type(part) is str or (type(part) in (int, float, bool) and abs(part) <= _LARGEST) for part in parts)
    return repr(value) if simple and value != "" else ""
