"""The class takes one configuration object: the class of its annotation, or one of the file's, made small; else an object that has
whatever is read from it."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradflow.capture.guess import usual
from gradflow.capture.guess.construction.parts import candidates
from gradflow.capture.guess.expressions import is_model
from gradflow.capture.guess.shrunk import shrunk
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required

CONFIG = re.compile(
    r"^(config|cfg|conf|args|opt|opts|options|hparams|hp|params|configs|configuration|model_args|settings|model_config|\w+_config)$"
)
_CONFIG_CLASS = re.compile(r"Config$|Args$|Arguments$|Params$|Options$|Cfg$|Configuration$|HParams$|Hyperparams$")
_MOST_CLASSES, _DEEPEST = 8, 3


def propose(subject: Subject) -> Iterator[Construction]:
    """Small ones first, then less and less small, then an object made up as it is read."""
    needed = required(parameters_of(subject.cls))
    if not needed:
        return
    held = {entry.name: _config_classes(subject, entry) for entry in needed if entry is needed[0] or _is_annotated(subject, entry)}
    first = next((name for name, classes in held.items() if classes), "")
    for number, made in enumerate(held.get(first, ())):
        rest = {entry.name: _usual(entry, held.get(entry.name, ()), subject) for entry in needed if entry.name != first}
        for text in written(made, subject.scope):
            given = tuple((entry.name, text if entry.name == first else rest[entry.name]) for entry in needed)
            yield Construction(subject.name, given, f"`{made.__name__}`, made small")
        if number + 1 >= _MOST_CLASSES:
            break
    if len(needed) <= 2 and CONFIG.match(needed[0].name) and not isinstance(needed[0].annotation, type):
        others = [(entry.name, _usual(entry, (), subject)) for entry in needed[1:]]
        yield Construction(subject.name, ((needed[0].name, "Made()"), *others), "a configuration made up as it is read")


def _is_annotated(subject: Subject, entry: inspect.Parameter) -> bool:
    """Whether the argument is annotated with a class that is a plain record."""
    classes = _classes_of(entry.annotation, dict(subject.scope))
    return any(is_record(made) for made in classes)


def is_record(made: Any) -> bool:
    """Whether the class holds values and does nothing: a dataclass, a named tuple, or called as a configuration is."""
    if not isinstance(made, type) or is_model(made):
        return False
    return dataclasses.is_dataclass(made) or hasattr(made, "_fields") or _CONFIG_CLASS.search(made.__name__) is not None


def _usual(entry: inspect.Parameter, classes: Sequence[type], subject: Subject) -> str:
    """What an argument beside the first configuration is given: one of its own, a model where it is called like one, else the usual."""
    for made in classes:
        for text in written(made, subject.scope):
            return text
    annotation = usual.annotation_of(entry)
    return next(candidates(entry.name, annotation, subject), usual.usual_value(entry.name, annotation))


def _config_classes(subject: Subject, entry: inspect.Parameter) -> list[type]:
    """The classes that may make the argument: its annotation, the class's `config_class`, those of the file that are called so."""
    found: list[Any] = []
    for owner in subject.cls.__mro__:
        init = vars(owner).get("__init__")
        if init is None:
            continue
        hint = getattr(init, "__annotations__", {}).get(entry.name)
        found += _classes_of(hint, vars(sys.modules.get(owner.__module__, sys)))
        break
    found += _classes_of(getattr(subject.cls, "config_class", None), {})
    if CONFIG.match(entry.name):
        own = [value for name, value in subject.scope.items() if isinstance(value, type) and _CONFIG_CLASS.search(name)]
        found += sorted(own, key=lambda value: value.__module__ != subject.cls.__module__)
    plain = [value for value in found if isinstance(value, type) and value.__module__ not in ("builtins", "typing") and not is_model(value)]
    return list(dict.fromkeys(plain))


def _classes_of(hint: Any, scope: dict[str, Any]) -> list[Any]:
    if isinstance(hint, str):
        names = re.findall(r"[A-Za-z_]\w*", hint)
        return [scope[name] for name in names if isinstance(scope.get(name), type)]
    arguments = typing.get_args(hint)
    return [hint] if isinstance(hint, type) else [one for one in arguments if isinstance(one, type)]


def written(made: type, scope: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """The expressions that make one: small ones first, then less small, else with what its constructor asks for."""
    try:
        default = made()
    except Exception as error:  # noqa: BLE001 - their constructor; what it needs is guessed from its fields instead
        yield from _from_fields(made, error, scope, depth)
        return
    for chosen in shrunk(default):
        yield f"{made.__name__}({', '.join(f'{name}={value!r}' for name, value in chosen.items())})"


def _from_fields(made: type, error: Exception, scope: Mapping[str, Any], depth: int) -> Iterator[str]:
    """A configuration whose fields have no defaults; one that fails for another reason is not made."""
    if not isinstance(error, TypeError) or depth > _DEEPEST:
        return
    needed = required(parameters_of(made))
    if dataclasses.is_dataclass(made) or needed:
        yield f"{made.__name__}({', '.join(f'{entry.name}={_field(entry, scope, depth)}' for entry in needed)})"


def _field(entry: inspect.Parameter, scope: Mapping[str, Any], depth: int) -> str:
    inner = next((found for found in _classes_of(entry.annotation, dict(scope)) if is_record(found)), None)
    texts = written(inner, scope, depth + 1) if inner is not None else iter(())
    return next(texts, usual.usual_value(entry.name, usual.annotation_of(entry)))
