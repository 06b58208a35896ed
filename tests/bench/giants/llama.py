"""Llamas of the published sizes, built from a configuration. The attention of layer 3 gives its output detached."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaAttention


class LeakyAttention(LlamaAttention):
    """The attention with the planted cut."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the original, but nothing flows back through it."""
        output, weights = super().forward(*args, **kwargs)
        return output.detach(), weights


def build(layers: int, width: int, inner: int, heads: int, groups: int, words: int) -> torch.nn.Module:
    """The model with the cut in its third layer."""
    config = LlamaConfig(
        num_hidden_layers=layers,
        hidden_size=width,
        intermediate_size=inner,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        vocab_size=words,
        max_position_embeddings=8192,
    )
    model = LlamaForCausalLM(config)
    model.model.layers[2].self_attn = LeakyAttention(config, layer_idx=2)
    return model


def llama_8_layers() -> torch.nn.Module:
    """8 layers of 4,096."""
    return build(8, 4096, 11008, 32, 32, 32000)


def llama_7b() -> torch.nn.Module:
    """32 layers of 4,096."""
    return build(32, 4096, 11008, 32, 32, 32000)


def llama_70b() -> torch.nn.Module:
    """80 layers of 8,192."""
    return build(80, 8192, 28672, 64, 8, 128256)


def llama_405b() -> torch.nn.Module:
    """126 layers of 16,384."""
    return build(126, 16384, 53248, 128, 8, 128256)
