"""A configuration that is made up as it is read: each field gets the usual value of its name. What was read can be written down."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch

from gradflow.capture.guess.compared import Told
from gradflow.capture.guess.usual import tells_something, usual_value

_USUAL: tuple[tuple[str, Any], ...] = (
    (r"^(embed|embed_type|embedding_type)$", "timeF"),
    (r"^freq$", "h"),
    (r"^task_name$", "long_term_forecast"),
    (r"^(enc_in|dec_in|c_out)$", 7),
    (r"^label_len$", 32),
    (r"^(moving_avg|kernel_size_avg)$", 25),
    (r"^(individual|output_attention|distil|affine|subtract_last|output_attentions|output_hidden_states)$", False),
    (r"^factor$", 1),
    (r"act(ivation)?(_fn|_func|_function)?$|^nonlinearity$", "gelu"),
    (r"^(norm|norm_type|norm_layer)$", "layer"),
    (r"rates$", (2, 2)),
    (r"kernel_sizes$", (3, 3)),
    (r"dilation_sizes$", ((1, 3, 5), (1, 3, 5))),
)
"""What a configuration holds where a constructor's argument of that name would be something else."""

_UNKNOWN = 2
"""What a name that tells nothing is given."""
_SPACE = re.compile(r"(^|_)spaces?$")
_INNER = re.compile(r"(^|_)kwargs$")
"""What is handed on as a whole, `config["norm"](width, **config["norm_kwargs"])`: nothing that is not asked for."""
_SEVERAL = re.compile(r"^(?!n_|num_|max_|min_).*(sizes|strides|filters|depths|mults|dims|planes|stages)$")


class Made:
    """Answers any field or key with the usual value of that name, and keeps what it answered."""

    words: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, **known: Any) -> None:
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.words.get(name) is Told.ABSENT:
            raise AttributeError(name)
        value: Any = self._value(name)
        self.__dict__[name] = value
        return value

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise TypeError(f"a configuration made up as it is read has no item {name!r}")
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def keys(self) -> list[str]:
        """As of a dict, so that `Net(**made)` gives what is known."""
        return list(self.__dict__)

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dict: what is not there is the default."""
        return self.__dict__.get(name, default)

    def text(self) -> str:
        """The call that makes an equal one; what the constructor itself has put into it and no expression makes is left out."""
        texts = {name: _text(value) for name, value in self.__dict__.items()}
        return f"Made({', '.join(f'{name}={text}' for name, text in texts.items() if '<' not in text)})"

    def _value(self, name: str) -> Any:
        told = self.words.get(name)
        if told is Told.NESTED or _INNER.search(name):
            return type(self)()
        if told is not None and not isinstance(told, Told):
            return told
        if _SPACE.search(name):
            return type(self)(shape=(8,), n=4)
        known = [value for pattern, value in _USUAL if re.search(pattern, name)]
        value = known[0] if known else _value(name)
        if told is Told.FLAG and not known and not tells_something(name):
            return False
        return (value, value) if told is Told.SEVERAL and not isinstance(value, (tuple, str)) else value


def made_with(words: Mapping[str, Any]) -> type[Made]:
    """A `Made` that knows what a file compares its fields with."""
    return type("Made", (Made,), {"words": words}) if words else Made


def _text(value: Any) -> str:
    name = getattr(value, "__name__", "")
    if name and getattr(torch.nn, name, None) is value:
        return f"nn.{name}"
    return value.text() if isinstance(value, Made) else repr(value)


def _value(name: str) -> Any:
    text = usual_value(name)
    if text.startswith("torch."):
        return getattr(torch, text.removeprefix("torch."))
    if text.startswith("nn.") and text.removeprefix("nn.").isidentifier():
        return getattr(torch.nn, text.removeprefix("nn."))
    try:
        value = ast.literal_eval(text)
    except ValueError:
        return _UNKNOWN
    return (value, value) if _SEVERAL.search(name) and isinstance(value, int) else value
