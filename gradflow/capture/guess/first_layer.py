"""What the first layer of a model takes: the layer that was built first and holds parameters."""

from __future__ import annotations

import re

from torch import nn

from gradflow.capture.guess.sizes import Sizes

_SIDEWAYS = re.compile(r"time|temb|t_emb|sigma|(^|[._])pos|cond|label|class_emb|y_emb|style|mapping|noise_level")
"""Layers of a condition: they often stand first, and what they take is not the main input."""


def input_of_first_layer(model: nn.Module, sizes: Sizes) -> str:
    """The text of an input for the first layer that says what it takes."""
    for sideways in (False, True):
        for name, layer in model.named_modules():
            text = input_of(layer, sizes) if bool(_SIDEWAYS.search(name)) == sideways else ""
            if text:
                return text
    return f"float32[{sizes.batch},{sizes.channels},{sizes.image},{sizes.image}]"


def input_of(layer: nn.Module, sizes: Sizes) -> str:
    """The text of an input for one layer, empty where it says nothing of its input."""
    b, s, t = sizes.batch, sizes.image, sizes.length
    match layer:
        case nn.Conv1d():
            return f"float32[{b},{layer.in_channels},{max(t, 64)}]"
        case nn.ConvTranspose2d():
            return f"float32[{b},{layer.in_channels},1,1]"
        case nn.Conv2d():
            return f"float32[{b},{layer.in_channels},{s},{s}]"
        case nn.Conv3d():
            return f"float32[{b},{layer.in_channels},8,{s},{s}]"
        case nn.Embedding() | nn.EmbeddingBag():
            return f"int64[{b},{t}]<{layer.num_embeddings}"
        case nn.Linear() if not isinstance(layer, nn.LazyLinear):
            return f"float32[{b},{layer.in_features}]"
        case nn.Bilinear():
            return f"float32[{b},{layer.in1_features}]"
        case nn.RNNBase():
            return f"float32[{b},{t},{layer.input_size}]"
        case nn.RNNCellBase():
            return f"float32[{b},{layer.input_size}]"
        case nn.MultiheadAttention():
            return f"float32[{b},{t},{layer.embed_dim}]"
        case nn.TransformerEncoderLayer() | nn.TransformerDecoderLayer():
            return f"float32[{b},{t},{layer.self_attn.embed_dim}]"
        case nn.LayerNorm() | nn.RMSNorm():
            return f"float32[{b},{t},{','.join(map(str, layer.normalized_shape))}]"
        case nn.BatchNorm1d():
            return f"float32[{b},{layer.num_features}]"
        case nn.BatchNorm2d() | nn.InstanceNorm2d():
            return f"float32[{b},{layer.num_features},{s},{s}]"
    return ""
