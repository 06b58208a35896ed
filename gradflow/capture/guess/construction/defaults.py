"""The class needs no argument: it is built with its own defaults, only that no weights are fetched."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required
from gradflow.capture.guess.usual import is_several

_FETCHES = re.compile(
    r"^(use_|load_|is_|from_)?pretrained(_weights|_path|_model|_backbone|_dir|_url|_cfg)?$|^imagenet$|_pretrained$|weights$|^weights_"
)

_SWITCH = re.compile(r"pretrained")
"""What a switch that fetches weights has in its name, `pretrained_base=True`; a size may have it too, `pretrained_window_size=8`."""


def propose(subject: Subject) -> Iterator[Construction]:
    """The call without arguments, where that is possible."""
    parameters = parameters_of(subject.cls)
    # sizes that are empty by default say that a function of the file is to give them
    empty = any(isinstance(entry.default, (tuple, list)) and not entry.default and is_several(name) for name, entry in parameters.items())
    if parameters and not required(parameters) and not (empty and subject.factories):
        yield Construction(subject.name, fetch_nothing(subject.cls), "its defaults")
    elif not parameters:
        yield Construction(subject.name, (), "its defaults")


def fetch_nothing(function: object) -> tuple[tuple[str, str], ...]:
    """The arguments that keep a constructor from fetching weights, where its defaults would."""
    out = []
    for name, entry in parameters_of(function).items():
        if not fetches(name, switched=entry.default is True) or entry.default is inspect.Parameter.empty:
            continue
        if entry.default is True:
            out.append((name, "False"))
        elif entry.default not in (None, False, ""):  # a file, an address, a torchvision `ResNet18_Weights.IMAGENET1K_V1`
            out.append((name, "None"))
    return tuple(out)


def fetches(name: str, *, switched: bool) -> bool:
    """Whether an argument of that name asks for weights. `switched`: its value is True."""
    return bool(_FETCHES.search(name) or (switched and _SWITCH.search(name)))
