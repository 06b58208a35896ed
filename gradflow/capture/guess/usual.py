"""What an argument of a constructor is usually given, by its name, its annotation and its default. Small sizes that agree with each other.

Width 64 in 4 heads of 16, two layers, images of 32 by 32 in patches of 8, ten classes, a vocabulary of 128.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

WIDTH, HEADS, DEPTH, CLASSES, VOCABULARY, IMAGE, PATCH, LENGTH = 64, 4, 2, 10, 128, 32, 8, 64

_USUAL: tuple[tuple[str, str], ...] = (
    (r"^(enc_in|dec_in|c_out|n_series|num_series|n_vars|nvars|num_variables|n_variates)$", "7"),
    (r"^(img|image|input|in|im)_?(shape|dims)$|^image_dim$", f"(3, {IMAGE}, {IMAGE})"),
    (r"(^|_)kwargs$", "{}"),
    (r"^conv(_op|_layer|_class|_cls|_module)$", "nn.Conv2d"),
    (r"^norm_op$", "nn.BatchNorm2d"),
    (r"^dropout_op$", "nn.Dropout"),
    # a number would be taken for the number of an open file
    (r"(^|_)(path|file|filename|fname|cfgfile|folder|checkpoint|ckpt)$|^(config|cfg|yaml|json|model|weights?)_?(path|file)", "''"),
    (r"^return_(layers|nodes)$|^(target|feature|content|style)_layers$|^layers?_names?$", "{'layer': 'layer'}"),
    (r"^(obs|observation|state)_shape$", "(8,)"),
    (r"^shape$|^(feature|feat|grid)_shape$", f"({IMAGE}, {IMAGE})"),
    (r"^(embed|user|item|num|n)_?(num|users?|items?|entities|entity|relations?|movies?|products?)$", str(VOCABULARY)),
    (r"(^|_)(mults|multipliers)$|^(ch|channel|channels|dim)_mult$", "(1, 2)"),
    (r"^betas$", "(1e-4, 0.02)"),
    (r"^beta_?(1|start|min)$", "1e-4"),
    (r"^beta_?(2|T|end|max)$", "0.02"),
    (r"^label_len$", str(LENGTH // 2)),
    (r"^(out_len|target_window|context_window|input_window|output_window|lookback|n_steps_in|forecast_len)$", str(LENGTH)),
    (r"(num|n)_?(attention_|attn_|key_value_|kv_|query_|encoder_attention_|decoder_attention_)?heads?$|^heads$", str(HEADS)),
    (r"^(n|num)_?head$|^h$", str(HEADS)),
    (r"(d|dim|size)_?(per_)?_?(head|k|v|kv|q)$|head_(dim|size|ch|channels)$|^(d_k|d_v)$|attention_head_(dim|size)", str(WIDTH // HEADS)),
    (r"(intermediate|ffn|ff|feed_?forward|mlp|inner)_?(size|dim|hidden_dim|hidden_size|channels)?$|dim_?feedforward", str(2 * WIDTH)),
    (r"d_(ff|inner|mlp)$|^hidden_features$|mlp_(dim|size)", str(2 * WIDTH)),
    (r"mlp_ratio|expansion(_factor|_ratio)?$|expand_ratio|ff_mult|^mult$|^expand$", "2"),
    (r"(num|n)_?(hidden_|encoder_|decoder_|transformer_|res_?|rnn_|conv_|gnn_)*(layers?|blocks?|stages?)$|^depth$", str(DEPTH)),
    (r"^(n_)?layers?$|(enc|dec|encoder|decoder|num|block|layer)_?depths?$|^N$|num_res_blocks|layers_per_block", str(DEPTH)),
    (r"^depths$|layers_per_stage|^(layers|blocks|num_blocks|n_blocks)_list$", f"({DEPTH}, {DEPTH})"),
    (r"num_?class(es)?$|n_?class(es)?$|num_labels|n_?labels$|^classes$|output_?classes|^nc$|^nb_class(es)?$|class_num", str(CLASSES)),
    (r"vocab(ulary)?(_size)?$|num_(tokens|embeddings|words)|n_?(tokens?|vocab|words)$|ntoken|voc(ab)?_?size$", str(VOCABULARY)),
    (r"(src|tgt|trg|source|target|input|output)_vocab(_size)?|dict_size|codebook_size|n_embed$|num_embeddings|n_e$", str(VOCABULARY)),
    (r"K$", str(VOCABULARY)),
    (r"(image|img|input|in|sample|frame|crop)_?(size|res|resolution)$|^resolution$|^spatial_size$", str(IMAGE)),
    (r"^(height|width|img_[hw]|image_(height|width)|H|W)$", str(IMAGE)),
    (r"patch(_size|_height|_width|size)?$|^patch_dim$", str(PATCH)),
    (r"frame_patch_size|tubelet_size", "2"),
    (r"(num|n)_?frames$|^frames$", "4"),
    (r"(in|input|image|img|num|n|color)_?(chans?|channels?|ch|nc|c|planes)$|^channels?$|^(c_in|inp|nc_in|in_c|n_colors)$", "3"),
    (r"^input_nc$|num_input_channels", "3"),
    (r"(^|_)(block|hidden|layer|stage|encoder|decoder|inner|mid|base|down|up|latent)s?_(out_)?(channels?|chans?|ch)$", str(WIDTH)),
    (r"(out|output)_?(chans?|channels?|ch|nc|c|planes)$|^(c_out|oup|out_c)$|^output_nc$", "3"),
    (
        r"max_?(position_embeddings|seq(uence)?_?len(gth)?|len(gth)?|positions|target_positions|source_positions|tokens"
        r"|text_len)",
        str(LENGTH),
    ),
    (r"^(prediction|forecast|context|history|target)_length$", str(LENGTH)),
    (r"block_size|context_(length|size|len)|n_(ctx|positions)|seq_?len(gth)?$|_len(gth)?$", str(LENGTH)),
    (r"^(length|T|n_ctx|max_T|ctx_len|horizon|window_size_seq|pred_len|input_len|input_length|sequence_length)$", str(LENGTH)),
    (r"kernel(_size|size)?$|^k$|^ksize$", "3"),
    (r"stride|dilation|(num_)?groups?$|^padding$|scale_factor$|^scale$|upscale(_factor)?|downsample_ratio", "1"),
    (r"num_experts$|n_experts?$|num_routed_experts|n_routed_experts|num_local_experts", "4"),
    (r"num_experts_per_tok|top_?k$|experts_per_token|num_shared_experts|n_shared_experts", "2"),
    (r"(num|n)_?group$|topk_group", "1"),
    (r"^(\w+_)?(dropouts|(drop|dropout)_(rates|probs))$", "(0.0, 0.0)"),
    (r"drop(out|_?rate|_?prob|_?path)?|attn_drop|_dropout$|^p$|^dp$|prob(ability)?$|_pdrop$", "0.0"),
    (r"timesteps$|num_steps|num_timesteps|diffusion_steps|n_steps$", "10"),
    (r"window(_size)?$", "4"),
    (r"(num|n)_?(nodes|features|feats?|inputs?|vars|variates?|joints|keypoints|agents|points)$", str(WIDTH)),
    (
        r"(in|input|node|edge|feature|state|obs(ervation)?|latent|z|noise|cond|context|text|action|act|query|key|value"
        r"|token|time|emb(ed(ding)?)?|model|hidden|output|out|projection|proj)_?(dims?|size|features?|feats?|width"
        r"|channels)$",
        str(WIDTH),
    ),
    (
        r"^(dim|dims|size|d_model|width|hidden|hid|hidden_size|n_embd|n_hid|nhid|ninp|emsize|embed_dim|embedding_dim|n_feat"
        r"|nf|ngf|ndf|nz|ch|base_channels|model_channels|d|D|C|F|features|planes|inplanes|in_features|out_features|units"
        r"|n_units|latent|c|embed|state_dim|z_dim|init_features|filters|n_filters|base_dim)$",
        str(WIDTH),
    ),
    (r"^dims_", f"[{WIDTH}, {WIDTH}]"),
    (r"_dim$|^dim_|_width$|_channels?$", str(WIDTH)),
    (r"_heads$", str(HEADS)),
    (r"eps(ilon)?$|^eta$", "1e-5"),
    (r"^(rope_|rotary_)?theta$|^rope_base$", "10000.0"),
    (r"alpha|beta|gamma|sigma|temperature|tau|momentum|decay|^lr$|weight$|coef|lambda|ratio", "0.5"),
    (r"act(ivation)?(_layer|_fn|_func|_function)?$|nonlinearity|nonlin", "nn.ReLU"),
    (r"^(BatchNorm|BN|NormLayer|bn_layer|batch_?norm_layer)(2d)?$", "nn.BatchNorm2d"),
    (r"norm_(layer|fn|class|type)$|^norm$|normalization", "nn.LayerNorm"),
    (r"^block$|block_(type|class|fn|cls)$", "nn.Identity"),
    (r"^device$", "'cpu'"),
    (r"^dtype$", "torch.float32"),
    (r"^(use_|with_|is_|no_|do_|has_|enable_|learn_)|bias$|^bidirectional$|batch_first|pretrained$|^causal$|^debug$", "False"),
    (r"^verbose$|^train$|^training$", "False"),
    (r"pad(ding)?_?(idx|token|token_id|id)$|layer_(idx|id|number|index)$|^(i|idx|index)$|_idx$|_id$|^pad$", "0"),
    (r"^(model|backbone|encoder|arch|timm|base_model)_?name$|^arch$", "'resnet18'"),
    (r"^(mode|name|type|method|variant)$", "''"),
    (r"^(num|n)_\w+", "2"),
)  # fmt: skip

_BY_ANNOTATION = (
    (r"^int$", "2"), (r"^float$", "0.5"), (r"^bool$", "False"), (r"^str$", "''"),
    (r"nn\.Module|^Module$|torch\.nn", "nn.Identity()"), (r"Callable|type\[|Type\[", "nn.ReLU"), (r"dict|Dict|Mapping", "{}"),
)  # fmt: skip

_SEVERAL = re.compile(
    r"(channels|dims|sizes|layers|depths|heads|features|filters|strides|kernels|blocks|planes|stages|mults?|hiddens|units)(_list|_mult)?$"
)


_LISTED = re.compile(r"(?:typing\.)?(tuple|Tuple|list|List|Sequence|Iterable|Collection)\b(?:\[(.*)\])?$")
_EITHER = re.compile(r"(?:typing\.)?(?:Optional|Union)\[(.*)\]$")
_WIDE = re.compile(r"^(num_|n_)?(channels|features|filters|planes|widths|dims)$")


def usual_value(name: str, annotation: str = "", default: Any = inspect.Parameter.empty) -> str:
    """The expression that argument `name` is given first."""
    several = _several_kind(annotation)
    if several is None:
        return _one(name, annotation)
    kind, entries = several
    first = entries[0]
    wide = first in ("", "int") and (_WIDE.search(name) is not None or not tells_something(name))
    told = _one(name, "")
    if told.startswith("(") and _several_kind(first) is None:
        return f"[{told[1:-1]}]" if kind in ("list", "List") else told  # the name itself tells several
    one = str(WIDTH) if wide else _one(name, first)
    parts = [one, *(_one(name, entry) for entry in entries[1:])] if len(set(entries)) > 1 else [one] * max(2, len(entries))
    return f"[{', '.join(parts)}]" if kind in ("list", "List") else f"({', '.join(parts)})"


def _several_kind(annotation: str) -> tuple[str, list[str]] | None:
    """("tuple", ["int", "int"]) of `tuple[int, int] | None`: what several of an annotation are; None where it may be one number, which
    does for any number of dimensions, or is one value first."""
    either = _EITHER.match(annotation)
    kinds = _split(either[1], ",") if either else _split(annotation, "|")
    match = _LISTED.match(kinds[0])
    if match is None or "int" in kinds or "float" in kinds:
        return None
    return match[1], [entry for entry in _split(match[2] or "", ",") if entry != "..."] or [""]


def _split(text: str, mark: str) -> list[str]:
    """The parts of an annotation between the marks that stand in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == mark and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _one(name: str, annotation: str) -> str:
    if _several_kind(annotation) is not None:
        return usual_value(name, annotation)
    is_dict = re.match(r"(typing\.)?(dict|Dict|Mapping)\b", annotation) is not None
    for pattern, text in _USUAL:
        if re.search(pattern, name):
            if is_dict and not text.startswith("{"):
                break
            if not fits(text, annotation):
                break
            return text
    for pattern, text in _BY_ANNOTATION:
        if re.search(pattern, annotation):
            return text
    return "2"


def tells_something(name: str) -> bool:
    """Whether the name is one that has a usual value of its own."""
    return any(re.search(pattern, name) for pattern, _ in _USUAL)


def alternatives(name: str, given: str) -> list[str]:
    """Other values that the argument may be given, the likeliest first; `given` was wrong."""
    menu = [usual_value(name), str(WIDTH), f"({WIDTH}, {WIDTH})", "2", "1", "3", "(2, 2)", "(1, 2, 4, 8)", "0.5", "False", "True", "None",
            "nn.Identity()", "nn.ReLU", "nn.Linear", "'relu'", "''", "{}"]  # fmt: skip
    return [text for text in dict.fromkeys(menu) if text != given]


def is_several(name: str) -> bool:
    """Whether the name is a plural of sizes."""
    return _SEVERAL.search(name) is not None


def annotation_of(parameter: inspect.Parameter) -> str:
    """The annotation as text, empty where there is none."""
    found = parameter.annotation
    if found is inspect.Parameter.empty:
        return ""
    if isinstance(found, str):
        return found
    return found.__name__ if isinstance(found, type) else str(found).replace("typing.", "")


def fits(text: str, annotation: str) -> bool:
    """Whether the expression is of the plain kind that the annotation names; of other annotations nothing is known."""
    kinds = {"int": r"\d+$", "float": r"[\d.e-]+$", "bool": r"(True|False)$", "str": r"'"}
    return annotation not in kinds or re.match(kinds[annotation], text) is not None
