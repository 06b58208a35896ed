"""Small sizes in place of large ones, by their usual names: they agree with each other (width 64 in 4 heads of 16, two layers)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.usual import WIDTH, tells_something, usual_value

SMALL: dict[str, int] = {
    "hidden_size": 64, "d_model": 64, "n_embd": 64, "embed_dim": 64, "dim": 64, "embedding_size": 64, "word_embed_proj_dim": 64,
    "width": 64, "emb_dim": 64, "n_state": 64, "d_embed": 64, "num_hiddens": 64, "model_dim": 64, "hidden_dim": 64,
    "intermediate_size": 128, "ffn_dim": 128, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "d_ff": 128, "n_inner": 128,
    "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64, "feed_forward_size": 128, "encoder_hidden_size": 64,
    "dim_feedforward": 128, "ffn_hidden": 128, "mlp_dim": 128,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "heads": 4, "nhead": 4,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "num_key_value_heads": 4, "n_kv_heads": 4, "num_kv_heads": 4, "head_dim": 16, "d_kv": 16, "dim_head": 16, "attention_head_dim": 16,
    "rotary_dim": 16,
    "num_hidden_layers": 2, "n_layer": 2, "num_layers": 2, "encoder_layers": 2, "decoder_layers": 2, "num_decoder_layers": 2,
    "n_layers": 2, "layers": 2, "depth": 2, "num_encoder_layers": 2, "num_blocks": 2, "num_single_layers": 2, "num_hidden_groups": 1,
    "vocab_size": 128, "max_position_embeddings": 64, "n_positions": 64, "block_size": 64, "context_length": 64, "image_size": 32,
    "patch_size": 8, "num_tokens": 128, "min_size": 64, "max_size": 128,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "n_group": 1, "topk_group": 1, "num_expert_group": 1,
}  # fmt: skip
"""What a size of that name is made, where it is larger."""

_SEVERAL = re.compile(r"^(?!axes_).*(channels|dims|widths|filters|hidden_sizes|planes|features)$")
"""Widths of layers, one each; of the axes of a position they are the parts of one width."""
NARROW = 32
"""What each of several widths is made, where one is larger."""

ONLY_DEPTH = re.compile(r"layers?$|depth$|^(n|num)_(\w+_)?blocks$|vocab_size")
_TOKEN = re.compile(r"_token_(id|index)$|^pad(ding)?_(idx|id|token)$")


def smaller_sizes(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `sizes` that are larger than they need to be, made small; and those that are not set, as -1. Several widths become equal."""
    numbers = {name: value for name, value in SMALL.items() if name in sizes and is_larger(sizes[name], value)}
    several = {name: value for name, value in sizes.items() if isinstance(value, (tuple, list)) and _SEVERAL.search(name)}
    narrow = {name: type(value)([NARROW] * len(value)) for name, value in several.items() if any(is_larger(one, NARROW) for one in value)}
    heads = {name: value for name, value in sizes.items() if narrow and isinstance(value, (tuple, list)) and name.endswith("heads")}
    few = {name: type(value)([SMALL["heads"]] * len(value)) for name, value in heads.items()}
    return {**numbers, **narrow, **few}


def smaller_tokens(tokens: Mapping[str, Any], vocabulary: int) -> dict[str, int]:
    """The special tokens among these that would lie outside of a vocabulary of that size, each another one inside."""
    names = sorted(name for name in tokens if _TOKEN.search(name))
    return {name: index + 1 for index, name in enumerate(names) if is_larger(tokens[name], vocabulary - 1)}


_DEPTHS = re.compile(r"depths$|(layers|blocks)(_per_\w+)?$|^num_(layers|blocks)$")
_SIZE = re.compile(
    r"^(?!.*(kernel|window|stride|_id$)).*(dim|width|channels?|size|hidden|heads?$|layers?$|blocks$|depth|experts|embd|d_model|d_ff|planes|features)"
)
"""What a number has to be called to be taken for a size that may be smaller."""


def usual_sizes(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Each size that is larger than what is usual for its name, as is usual; of several numbers of layers, one each."""
    out: dict[str, Any] = {}
    for name, value in sizes.items():
        told = tells_something(name)
        usual = literal(usual_value(name)) if told else WIDTH
        if isinstance(value, (tuple, list)) and value and _DEPTHS.search(name) and all(is_larger(one, 0) for one in value):
            out[name] = type(value)([1] * len(value))
        elif isinstance(usual, int) and is_larger(value, usual) and value > usual and ((told and usual == WIDTH) or _SIZE.search(name)):
            out[name] = usual
    return out


def is_larger(found: Any, value: int) -> bool:
    """Whether it is a whole number above `value`, or none that a size can be."""
    return isinstance(found, int) and not isinstance(found, bool) and (found > value or found < 0)
