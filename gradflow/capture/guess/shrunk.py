"""A configuration object made small: its sizes by their usual names, and those of the configurations that it holds, however deep."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gradflow.capture.guess.attempt import attempt
from gradflow.capture.guess.small import ONLY_DEPTH, SMALL, smaller_sizes, smaller_tokens, usual_sizes

_DEEPEST = 4
"""Configurations in each other."""


def shrunk(config: Any) -> Iterator[dict[str, Any]]:
    """What to change in it: all sizes, then those that are no sizes of an image, then nothing, then the number of heads, not their width,
    then only its depth, then all that is called like a size."""
    chosen: list[dict[str, Any]] = []
    small, without_image, only_depth = (_smaller(config, partial(_kept, keep), 0) for keep in _KEPT)
    for changes in (small, without_image, {}, _smaller(config, _fewer_heads, 0), only_depth, _smaller(config, _all, 0)):
        if changes not in chosen:
            chosen.append(changes)
    yield from chosen


_KEPT = (re.compile(""), re.compile(r"^(?!.*(image_size|patch_size))"), ONLY_DEPTH)


def _kept(names: re.Pattern[str], config: Any) -> dict[str, Any]:
    return {name: value for name, value in _known(config).items() if names.search(name)}


def _all(config: Any) -> dict[str, Any]:
    return {**usual_sizes(getattr(config, "__dict__", {})), **_known(config)}


def _fewer_heads(config: Any) -> dict[str, Any]:
    """Few heads, each as wide as it is: parts of its width may be given one by one, as the sections of a rotary embedding are."""
    known = _known(config)
    width, heads = _peek(config, "hidden_size"), _peek(config, "num_attention_heads")
    if isinstance(width, int) and isinstance(heads, int) and {"hidden_size", "num_attention_heads"} <= set(known):
        each = _peek(config, "head_dim") or width // heads
        known["hidden_size"] = known["num_attention_heads"] * each
        known.pop("head_dim", None)
    return known


def _known(config: Any) -> dict[str, Any]:
    """Its small sizes by the names that are known; what it computes from others is not set, as a number of layers beside several depths."""
    computed = {name for name in SMALL if isinstance(getattr(type(config), name, None), property)}
    latent = {"head_dim"} if _peek(config, "qk_rope_head_dim") is not None else set()
    stages = {name for name in SMALL if name.endswith("layers")} if isinstance(_peek(config, "depths"), (tuple, list)) else set()
    return smaller_sizes({name: _peek(config, name) for name in SMALL if name not in computed | latent | stages})


def _smaller(config: Any, smaller: Callable[[Any], dict[str, Any]], depth: int) -> dict[str, Any]:
    """The small sizes of one configuration, and a dict of such for each that it holds (`text_config`, `vision_config`)."""
    sizes = smaller(config)
    if "vocab_size" in sizes:
        sizes.update(
            smaller_tokens({name: _peek(config, name) for name in dir(config) if name.endswith(("_id", "_index"))}, sizes["vocab_size"])
        )
    for name, held in getattr(config, "__dict__", {}).items():
        if name.endswith("_config") and hasattr(held, "to_dict") and depth < _DEEPEST:
            inner = _smaller(held, smaller, depth + 1)
            # a dict that stands in another has lost the class that it would be made into, and one of any class has none
            lost = depth or getattr(getattr(type(config), "sub_configs", {}).get(name), "__name__", "") == "AutoConfig"
            kind = {"model_type": held.model_type} if lost and inner and isinstance(getattr(held, "model_type", None), str) else {}
            sizes.update({name: {**kind, **inner}} if inner else {})
    return sizes


def _peek(config: Any, name: str) -> Any:
    """The field, None where there is none or where it raises."""
    return attempt(lambda: getattr(config, name), 1.0)[0]
