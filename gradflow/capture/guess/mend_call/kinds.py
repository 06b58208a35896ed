"""An argument is no single tensor: a list of them, a dict, a whole number, a graph, or nothing at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, shape_of
from gradflow.capture.guess.mend_call.spoken import spoken_arguments
from gradflow.capture.guess.sizes import Sizes, node_features

_FIELDS = {
    "x": "float32[8,{d}]",
    "edge_index": "int64[2,12]<8",
    "batch": "int64[8]<1",
    "pos": "float32[8,3]",
    "edge_attr": "float32[12,{d}]",
    "y": "int64[8]<2",
    "edge_weight": "float32[12]",
}
"""What a graph's attributes are usually, with eight nodes and twelve edges."""

_LACKS = re.compile(r"has no attribute '(\w+)'")
_ALLOWED = re.compile(r"(?:available|supported|one of|choose from|choices|in)\b[^\[({]{0,24}[\[({](\d[\d, ]*)[\])}]")
"""The numbers that an argument may be: "available scales: [2, 4]"."""
_WRITTEN = {"int": r"-?\d+$", "float": r"-?\d*\.\d+$", "str": "'", "bool": "(True|False)$", "NoneType": "None$"}
"""How a value of each kind is written."""


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """The spoken arguments, as what the failing line does with them."""
    message, given = failure.message, dict(call.arguments)
    lines = " ".join(spot.text for spot in failure.own[-3:])
    for name in spoken_arguments(call, failure)[:3]:
        text = given[name]
        keys = re.findall(rf"\b{re.escape(name)}\[['\"](\w+)['\"]\]", lines)
        if keys and re.search(r"indices|string|index|too many|not subscriptable|slices", message):
            yield call.with_argument(name, "{" + ", ".join(f"'{key}': {_entry(key, text, lines)}" for key in dict.fromkeys(keys)) + "}")
        known = re.match(r"\{(.*)\}$", text)
        if isinstance(failure.error, KeyError) and known:
            yield call.with_argument(name, "{" + f"{known[1]}, {failure.message}: {_further_entry(call, known[1], message, lines)}" + "}")
        fields = [field for field in re.findall(rf"\b{re.escape(name)}\.(\w+)", lines) if field in _FIELDS]
        if fields and "has no attribute" in message:
            missing = _LACKS.findall(message)
            chosen = dict.fromkeys([*("x", "edge_index", "batch"), *fields, *(field for field in missing if field in _FIELDS)])
            yield call.with_argument(
                name, f"Data({', '.join(f'{field}={_FIELDS[field].format(d=node_features(model, sizes))}' for field in chosen)})"
            )
        yield from (call.with_argument(name, further) for further in _with_field(text, message, node_features(model, sizes)))
        allowed = _ALLOWED.search(message)
        if allowed is not None and re.fullmatch(r"\d+", text):
            yield from (call.with_argument(name, number) for number in re.findall(r"\d+", allowed[1]) if number != text)
        if shape_of(text) is not None and re.search(r"list|tuple|iterable|sequence", message) and not text.startswith("["):
            yield call.with_argument(name, f"[{text}, {text}]")
        if re.search(
            r"only (one element|integer) tensors|cannot be interpreted as an integer|'Tensor' object cannot|must be (int|a number"
            r"|Number|str)|bool value of Tensor|Boolean value of Tensor|unhashable|type Tensor|must be real number",
            message,
        ):
            yield from (call.with_argument(name, value) for value in ("1", "0.5", "None", "False") if value != text)
        kind = re.search(r"'(int|float|str|bool|NoneType)' object (has no attribute|is not)", message)
        if kind is not None and re.match(_WRITTEN[kind[1]], text):
            yield call.with_argument(name, f"int64[{sizes.batch}]<2")
            yield call.with_argument(name, f"float32[{sizes.batch},{sizes.width}]")


def _with_field(text: str, message: str, features: int) -> Iterator[str]:
    """A graph with the field that the message says it lacks, for each node or for the whole of it."""
    lacking = _LACKS.search(message)
    if lacking is None or not text.startswith("Data(") or f"{lacking[1]}=" in text:
        return
    usual = _FIELDS.get(lacking[1], "float32[8,{d}]").format(d=features)
    yield from (f"{text[:-1]}, {lacking[1]}={field})" for field in (usual, f"float32[1,{features}]"))


def _further_entry(call: Call, known: str, key: str, lines: str) -> str:
    """The value of an entry that a dict lacks: as the first of those that it has, else as another argument."""
    entries = [text for text in re.split(r"(?:^|, )'\w+': ", known) if text and text != "None"]
    alike = [*entries, *(shape.text for shape in call.tensors().values())]
    return _entry(key.strip("'\""), alike[0], lines) if alike else "None"


def _entry(key: str, text: str, lines: str) -> str:
    """The value of a dict's entry: nothing where the line asks whether there is one, `if prompts["box"] is not None`."""
    return "None" if re.search(rf"\[['\"]{re.escape(key)}['\"]\] is (not )?None", lines) else text
