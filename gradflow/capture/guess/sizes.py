"""The sizes that a built model states: read from its attributes, its configuration, its constructor's arguments and its first layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.subject import Construction

BATCH = 2
_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Sizes:
    """Whole numbers: batch, image side, channels, vocabulary, sequence length, width, classes, frames of a video."""

    batch: int
    image: int
    channels: int
    vocabulary: int
    length: int
    width: int
    classes: int
    frames: int = 4


_NAMES: dict[str, tuple[str, ...]] = {
    "image": ("image_size", "img_size", "input_resolution", "resolution", "input_size", "sample_size", "crop_size", "in_size", "img_dim"),
    "channels": (
        "num_channels", "in_channels", "in_chans", "channels", "input_channels", "n_channels", "in_ch", "input_nc",
        "in_dim", "chans", "image_channels", "img_channels", "num_input_channels", "in_planes",
    ),
    "vocabulary": (
        "vocab_size", "num_tokens", "n_vocab", "ntoken", "vocabulary_size", "src_vocab_size", "num_embeddings", "n_tokens",
        "dict_size", "input_vocab_size",
    ),
    "length": (
        "block_size", "max_seq_len", "max_position_embeddings", "seq_len", "max_len", "context_length", "n_ctx",
        "max_length", "n_positions", "seq_length", "max_seq_length", "window_size",
    ),
    "width": (
        "hidden_size", "d_model", "n_embd", "embed_dim", "dim", "embedding_dim", "input_size", "input_dim", "in_features",
        "hidden_dim", "in_dim", "feature_dim", "latent_dim", "num_features",
    ),
    "classes": ("num_classes", "num_labels", "n_classes", "n_class", "classes", "out_dim", "output_dim"),
    "frames": ("num_frames", "n_frames", "frames", "num_input_frames", "clip_length", "clip_len", "video_length"),
}  # fmt: skip
_USUAL = {"image": 32, "channels": 3, "vocabulary": 100, "length": _LENGTH, "width": 64, "classes": 10, "frames": 4}


def sizes_of(model: torch.nn.Module, construction: Construction) -> Sizes:
    """What the model says of its sizes, the usual ones where it says nothing."""
    sources = list(_sources(model, construction))
    found = {kind: _first(names, sources) for kind, names in _NAMES.items()}
    embedding = next((layer for layer in model.modules() if isinstance(layer, (torch.nn.Embedding, torch.nn.EmbeddingBag))), None)
    convolution = next((layer for layer in model.modules() if isinstance(layer, torch.nn.modules.conv._ConvNd)), None)
    if embedding is not None and not found["vocabulary"]:
        found["vocabulary"] = embedding.num_embeddings
    if convolution is not None and not found["channels"]:
        found["channels"] = convolution.in_channels
    values = {kind: value or _USUAL[kind] for kind, value in found.items()}
    values["length"] = min(values["length"], _LENGTH) if values["length"] > 1 else _LENGTH
    return Sizes(batch=BATCH, **values)


def stated(model: torch.nn.Module, construction: Construction, names: tuple[str, ...]) -> int:
    """The first size of one of these names that the model states, 0 where it states none."""
    return _first(names, list(_sources(model, construction)))


def _sources(model: torch.nn.Module, construction: Construction) -> Iterator[Mapping[str, Any]]:
    """Where names of sizes stand, the nearest first."""
    yield {name: value for name, text in construction.arguments if name and (value := literal(text)) is not None}
    yield {name: value for name, value in vars(model).items() if not name.startswith("_")}
    for name in ("config", "cfg", "args", "opt", "hparams", "conf"):
        held = getattr(model, name, None)
        if held is not None:
            fields = held if isinstance(held, Mapping) else getattr(held, "__dict__", {})
            yield fields
            for inner in ("text_config", "vision_config", "audio_config", "encoder", "decoder"):
                part = fields.get(inner)
                yield getattr(part, "__dict__", {}) if part is not None else {}
    written = " ".join(text for _, text in construction.arguments)
    yield {name: int(value) for name, value in re.findall(r"(\w+)(?:=|': )(\d+)", written)}
    for child in list(model.modules())[1:12]:
        if not list(child.parameters(recurse=False)) or "Embed" in type(child).__name__:
            yield {name: value for name, value in vars(child).items() if not name.startswith("_")}


def _first(names: tuple[str, ...], sources: list[Mapping[str, Any]]) -> int:
    for source in sources:
        for name in names:
            value = source.get(name)
            if isinstance(value, (tuple, list)) and value and isinstance(value[-1], int):
                value = value[-1]
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return 0


def node_features(model: torch.nn.Module, sizes: Sizes) -> int:
    """How many features a node of a graph has: what the first layer that says so takes, else the usual width."""
    for layer in model.modules():
        found = getattr(layer, "in_channels", None) or getattr(layer, "in_features", None)
        if isinstance(found, int) and found > 0:
            return found
    return sizes.width
