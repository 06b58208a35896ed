"""A neck takes the feature maps of a backbone: one for each width that it was built for, each half the size of the last.

FeaturePyramid(in_channels=(64, 128, 256))    # takes [float32[2,64,32,32], float32[2,128,16,16], float32[2,256,8,8]]
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.call import Call
from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.inputs.usual_inputs import usual_input
from gradflow.capture.guess.sizes import BATCH, sizes_of
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required
from gradflow.capture.guess.usual import annotation_of

_WIDTHS = re.compile(
    r"(^|_)(in|encoder|enc|input|feature|feat|backbone|skip|lateral)_?(channels?|chans?|ch|dims?|features|planes|sizes)(_list)?$"
)
_MAPS = re.compile(r"^(features?|feats?|inputs?|xs?|feature_maps?|feature_list|hidden_states|skips?|encoder_features|fmaps?|srcs?)$")
_LARGEST_SIDE, _SMALLEST_SIDE = 64, 4


def propose(model: torch.nn.Module, construction: Construction, subject: Subject | None) -> Iterator[Call]:
    """The maps as a list, then as a dict, then as one argument each, for a `forward` that treats its first argument as several."""
    parameters = parameters_of(model.forward)
    first = next(iter(parameters.values()), None)
    widths = _stated_widths(model, construction)
    if first is None or not widths or not (_MAPS.match(first.name) or "ist" in annotation_of(first)):
        return
    maps = [f"float32[{BATCH},{width},{side},{side}]" for width, side in zip(widths, _sides(len(widths)), strict=True)]
    if first.kind is inspect.Parameter.VAR_POSITIONAL:
        yield Call(tuple(("", text) for text in maps), "a map for each width that it states")
        return
    if not _is_several(model, first.name):
        return
    sizes = sizes_of(model, construction)
    others = tuple((entry.name, usual_input(entry.name, annotation_of(entry), sizes) or maps[0]) for entry in required(parameters)[1:])
    for text in (f"[{', '.join(maps)}]", "{" + ", ".join(f"'{number}': {text}" for number, text in enumerate(maps)) + "}"):
        yield Call(((first.name, text), *others), "a map for each width that it states")


def _sides(count: int) -> list[int]:
    largest = max(_LARGEST_SIDE, _SMALLEST_SIDE << (count - 1))  # each is half as large as the one before, to the last
    return [largest >> number for number in range(count)]


def _stated_widths(model: torch.nn.Module, construction: Construction) -> tuple[int, ...]:
    """The first several whole numbers that its constructor was given, or has by default, or that it keeps, under a name for widths."""
    given = {name.rpartition(".")[2]: literal(text) for name, text in construction.with_defaults(type(model)).given().items()}
    for name, value in (*given.items(), *vars(model).items()):
        if _WIDTHS.search(name) and isinstance(value, (tuple, list)) and len(value) > 1 and all(type(width) is int for width in value):
            return tuple(value)
    return ()


def _is_several(model: torch.nn.Module, name: str) -> bool:
    """Whether the class indexes, slices, counts or iterates what it calls so."""
    try:
        source = inspect.getsource(type(model))
    except (OSError, TypeError):
        return False
    word = re.escape(name)
    uses = (rf"\b{word}\[[^\]]*\]", rf"\blen\({word}\)", rf"\bin (enumerate\(|zip\([^)]*|reversed\()?{word}\b", rf"\*{word}\b",
            rf"\b{word}\.(keys|values|items)\(", rf"^\s*[\[(]?[\w, ]+, [\w, ]+[\])]? = {word}$")  # fmt: skip
    return any(re.search(use, source, re.MULTILINE) for use in uses)
