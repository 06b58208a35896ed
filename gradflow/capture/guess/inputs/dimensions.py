"""Each argument has the dimensions that the code reads from it, that its first layer takes, or that a docstring gives it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.call import Call, Shape, shape_of
from gradflow.capture.guess.first_layer import input_of, input_of_first_layer
from gradflow.capture.guess.inputs.described import described
from gradflow.capture.guess.inputs.destinations import Destination, destination, normalized_width, undone
from gradflow.capture.guess.inputs.usual_inputs import LISTED, as_annotated, asked, usual_input
from gradflow.capture.guess.sizes import Sizes, sizes_of
from gradflow.capture.guess.subject import Construction, Subject, parameters_of
from gradflow.capture.guess.usual import annotation_of

_WORDS = (
    (r"b|bs|bsz|batch\w*", "batch"),
    (r"f|frames?|num_frames|n_frames", "frames"),
    (r"h\d?|w\d?|ht|wd|\w*height|\w*width|img_[hw]|x|y|s|side|res\w*", "image"),
    (r"c|ch|nc|chans?|\w*channels?|c_?in|in_c\w*", "channels"),
    (r"l|t|n|seq\w*|\w*len\w*|time\w*|\w*tokens?|\w*length|n_\w+|k|m|p|q", "length"),
    (r"d|e|dim|emb\w*|hidden\w*|\w*dim|\w*_size|feat\w*|\w*features", "width"),
)
_BY_PLACE = {1: ("batch",), 2: ("batch", "width"), 3: ("batch", "length", "width"), 4: ("batch", "channels", "image", "image"),
             5: ("batch", "channels", "frames", "image", "image")}  # fmt: skip
"""What the dimensions of a tensor are where their names tell nothing."""


def propose(model: torch.nn.Module, construction: Construction, subject: Subject | None) -> Iterator[Call]:
    """One call, where the source tells something of at least one of its arguments."""
    parameters = parameters_of(model.forward)
    sizes = sizes_of(model, construction)
    names = [entry.name for entry in asked(model, parameters)]
    read = {name: text for name in names if (text := dimensions_of(model, name, annotation_of(parameters[name]), sizes))}
    if not read:
        return
    first = input_of_first_layer(model, sizes)
    kinds = {name: annotation_of(parameters[name]) for name in names}
    others = {name: usual_input(name, kind, sizes) or as_annotated(first, kind, sizes) for name, kind in kinds.items()}
    yield Call(tuple((name, read.get(name) or others[name]) for name in names), "what its code reads from the arguments")


def likely_input(model: torch.nn.Module, entry: inspect.Parameter, sizes: Sizes) -> str:
    """The text of an argument as the source tells it, else as its name suggests; empty where neither says anything."""
    annotation = annotation_of(entry)
    return dimensions_of(model, entry.name, annotation, sizes) or usual_input(entry.name, annotation, sizes)


def dimensions_of(model: torch.nn.Module, name: str, annotation: str, sizes: Sizes) -> str:
    """The text of an argument, empty where the source does not tell its dimensions."""
    usual = usual_input(name, annotation, sizes)
    shape = shape_of(usual)
    if (usual and shape is None) or LISTED.search(annotation):
        return ""  # it is no single tensor
    found = destination(model, name)
    if found is not None and found.of_one_rank and shape is not None:
        return ""  # its name tells more
    words = described(model, name, annotation)
    if found is not None and found.layer is not None:
        taken = _taken(found, shape, words, sizes)
        if taken:
            return taken
    if found is not None and found.dimensions:
        sized = sizes_of_words(found.dimensions, sizes)
        return _text(next(undone(sized, found.steps), ()), shape, annotation, sizes)
    return _text(sizes_of_words(words, sizes), shape, annotation, sizes) if words else ""


def _taken(found: Destination, usual: Shape | None, words: tuple[str, ...], sizes: Sizes) -> str:
    """What the layer takes, before what happens on the way to it."""
    layer = found.layer
    assert layer is not None
    own = normalized_width(layer)
    shape = Shape("float32", (sizes.batch, sizes.length, own)) if own else shape_of(input_of(layer, sizes))
    if shape is None:
        return ""
    wanted = shape.sizes
    if own or isinstance(layer, (torch.nn.Linear, torch.nn.LayerNorm, torch.nn.RMSNorm)):
        known = sizes_of_words(words, sizes) if words else usual.sizes if usual is not None and usual.dtype.startswith("float") else ()
        wanted = (*known[:-1], wanted[-1]) if len(known) > 1 else wanted
    before = next(undone(wanted, found.steps), ())
    return Shape(shape.dtype, before, shape.rest).text if before else ""


def sizes_of_words(words: tuple[str, ...], sizes: Sizes) -> tuple[int, ...]:
    """A size for each dimension that is called so; a number is itself."""
    return tuple(_size(word, place, len(words), sizes) for place, word in enumerate(words))


def _size(word: str, place: int, rank: int, sizes: Sizes) -> int:
    if word.isdigit():
        return int(word)
    kind = next((kind for pattern, kind in _WORDS if re.fullmatch(pattern, word.lower())), "")
    usual = _BY_PLACE.get(rank, ())
    if place == 0 and kind in ("", "length"):
        kind = "batch"
    if kind == "channels" and rank == 3 and place == 2:
        kind = "width"
    if kind == "length" and rank == 5:
        kind = "frames"
    if kind == "image" and rank == 3 and place == 2 and word.lower() == "width":
        kind = "width"
    if (kind == "image" and rank < 3) or not kind:
        kind = usual[place] if place < len(usual) else "image"
    return int(getattr(sizes, kind))


def _text(found: tuple[int, ...], usual: Shape | None, annotation: str, sizes: Sizes) -> str:
    """A tensor of these sizes, of the kind that the name of the argument suggests; that itself, where it has as many dimensions."""
    if not found:
        return ""
    if usual is not None and len(usual.sizes) == len(found) < 5:
        return usual.text
    whole = (usual is not None and not usual.dtype.startswith("float") and len(found) <= 2) or re.search(r"Long|Int\b|Int\[", annotation)
    if whole:
        kind = usual if usual is not None and not usual.dtype.startswith("float") else Shape("int64", (), f"<{sizes.vocabulary}")
        return Shape(kind.dtype, found, kind.rest).text
    return Shape("float32", found).text
