"""The class takes one configuration object: the class of its annotation, or one of the file's, made small; else an object that has
whatever is read from it."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from gradflow.capture.guess import usual
from gradflow.capture.guess.attempt import attempt
from gradflow.capture.guess.expressions import is_model
from gradflow.capture.guess.small import ONLY_DEPTH, SMALL, is_larger, smaller_sizes
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required

CONFIG = re.compile(
    r"^(config|cfg|conf|args|opt|opts|options|hparams|hp|params|configs|configuration|model_args|settings|model_config|\w+_config)$"
)
_CONFIG_CLASS = re.compile(r"Config$|Args$|Arguments$|Params$|Options$|Cfg$|Configuration$|HParams$|Hyperparams$")

_SPATIAL = re.compile(r"image_size|patch_size")


def propose(subject: Subject) -> Iterator[Construction]:
    """Small ones first, then less and less small, then an object made up as it is read."""
    needed = required(parameters_of(subject.cls))
    if not needed or len(needed) > 2:
        return
    first = needed[0]
    for made in _config_classes(subject, first):
        for text in _shrunk(made, subject):
            yield Construction(subject.name, ((first.name, text), *_others(needed[1:])), f"`{made.__name__}`, made small")
    if CONFIG.match(first.name) and not isinstance(first.annotation, type):
        yield Construction(subject.name, ((first.name, "Made()"), *_others(needed[1:])), "a configuration made up as it is read")


def _others(needed: list[inspect.Parameter]) -> list[tuple[str, str]]:
    return [(entry.name, usual.usual_value(entry.name, usual.annotation_of(entry))) for entry in needed]


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


def _shrunk(made: type, subject: Subject) -> Iterator[str]:
    """The expressions that make it: all sizes small, only its depth small, as it is."""
    try:
        default = made()
    except Exception as error:  # noqa: BLE001 - their constructor; what it needs is guessed from its fields instead
        yield from _from_fields(made, error)
        return
    smaller = smaller_sizes(
        {name: _peek(default, name) for name in SMALL if not (name == "head_dim" and _peek(default, "qk_rope_head_dim") is not None)}
    )
    smaller.update(_tokens(default, smaller))
    parts = _smaller_parts(default)
    if parts:
        yield f"{made.__name__}({_written({**smaller, **parts})})"
        without = {name: {key: value for key, value in sizes.items() if not _SPATIAL.search(key)} for name, sizes in parts.items()}
        yield f"{made.__name__}({_written({**{key: value for key, value in smaller.items() if not _SPATIAL.search(key)}, **without})})"
        shallow = {name: {key: value for key, value in sizes.items() if ONLY_DEPTH.search(key)} for name, sizes in parts.items()}
        yield f"{made.__name__}({_written({**{key: value for key, value in smaller.items() if ONLY_DEPTH.search(key)}, **shallow})})"
    for chosen in (smaller, {name: value for name, value in smaller.items() if ONLY_DEPTH.search(name)}, {}):
        yield f"{made.__name__}({_written(chosen)})"


def _written(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in chosen.items())


def _smaller_parts(config: Any) -> dict[str, dict[str, int]]:
    """The configurations that it holds (`text_config`, `vision_config`), each as a dict of small sizes."""
    held = {
        name: value for name, value in getattr(config, "__dict__", {}).items() if name.endswith("_config") and hasattr(value, "to_dict")
    }
    parts = {name: smaller_sizes({size: _peek(value, size) for size in SMALL}) for name, value in held.items()}
    return {name: {**sizes, **_tokens(held[name], sizes)} for name, sizes in parts.items() if sizes}


def _tokens(config: Any, smaller: dict[str, int]) -> dict[str, int]:
    """Special tokens that would lie outside of a smaller vocabulary."""
    if "vocab_size" not in smaller:
        return {}
    names = [name for name in dir(config) if name.endswith(("_token_id", "_token_index"))]
    return {name: index + 1 for index, name in enumerate(sorted(names)) if is_larger(_peek(config, name), smaller["vocab_size"] - 1)}


def _peek(config: Any, name: str) -> Any:
    """The field, None where there is none or where it raises."""
    return attempt(lambda: getattr(config, name), 1.0)[0]


def _from_fields(made: type, error: Exception) -> Iterator[str]:
    """A configuration whose fields have no defaults; one that fails for another reason is not made."""
    if not isinstance(error, TypeError):
        return
    needed = required(parameters_of(made))
    if dataclasses.is_dataclass(made) or needed:
        arguments = ", ".join(f"{entry.name}={usual.usual_value(entry.name, usual.annotation_of(entry))}" for entry in needed)
        yield f"{made.__name__}({arguments})"
