"""Each argument of `forward` without a default is given what an argument of its name usually is, in the model's own sizes.

An argument whose name tells nothing (`x`) is given what the first layer takes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.call import Call, shape_of
from gradflow.capture.guess.first_layer import input_of_first_layer
from gradflow.capture.guess.sizes import Sizes, node_features, sizes_of
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required
from gradflow.capture.guess.usual import annotation_of

_USUAL: tuple[tuple[str, str], ...] = (
    (
        r"^(pixel_values|images?|imgs?|im|rgb|picture|pic|image_tensor|input_image|x_img|image_batch|img_tensor|left"
        r"|right|image[12]|img[12])$",
        "float32[{b},{c},{s},{s}]",
    ),
    (r"pixel_values_videos|^videos?$|^clips?$", "float32[{b},{f},{c},{s},{s}]"),
    (r"^sample$|^noisy|^latents?$", "float32[{b},{c},{s},{s}]"),
    (r"lengths?$|_len$|^lens$", "int64[{b}]=={t}"),
    (r"attention_mask|^input_mask$", "int64[{b},{t}]==1"),
    (r"causal_mask|attn_mask|^(src|tgt)_mask$", "None"),
    (r"mask", "bool[{b},{t}]==1"),
    (r"position_ids|positions$|^pos$", "int64[{b},{t}]<{t}"),
    (r"token_type_ids|segment|bbox$", "int64[{b},{t}]<1"),
    (r"^(img|txt|image|text)_ids$", "float32[{t},3]"),  # places along several axes, as rotary embeddings of pictures take them
    (
        r"(^|_)(input_ids|ids|idx|tokens?|token_ids|words?|text|texts|captions?|sentences?|indices|input_seq|src|source"
        r"|tgt|trg|prompt|question|answer|seqs?|sequences?)$",
        "int64[{b},{t}]<{v}",
    ),
    (r"^timesteps?_|_timesteps?$", "int64[{b}]<10"),
    (r"^(t|ts|time|timesteps?|times|time_steps?|steps?|noise_level|sigma|noise_labels|time_cond|diffusion_step)$", "int64[{b}]<10"),
    (r"^((\w+_)?labels?|targets?|y|gt|ground_truth|class_labels|class_ids|cls|classes|c)$", "int64[{b}]<{k}"),
    (r"encoder_hidden_states|hidden_states?", "float32[{b},{t},{d}]"),
    (
        r"^(hidden|inputs_embeds|input_embeds|query|queries|key|keys|value|values|q|k|v|memory|context|ctx|emb|embeds"
        r"|embeddings?|features?|feats?|text_emb.*|cond|cond_emb)$",
        "float32[{b},{t},{d}]",
    ),
    (r"edge_(index|indices|list)$|^adj_t$|^edges$", "int64[2,12]<8"),
    (r"^edge_(attr|weight|features?|type)$", "float32[12,{d}]"),
    (r"^(batch|batch_index|batch_idx|graph_ids)$", "int64[8]<1"),
    (r"^(adj|adjacency|adj_?(mat|matrix)|adjacency_matrix|A|graph)$", "float32[8,8]==1"),
    (r"^(state|states|obs|observations?|s)$", "float32[{b},{d}]"),
    (r"^(z|noise|latent|code)$", "float32[{b},{d}]"),
    (r"^(actions?|a)$", "float32[{b},{d}]"),
    (r"input_features|^(mel|mels|spec|spectrogram)$", "float32[{b},80,64]"),
    (r"^(input_values|audio|audios|wav|waveform|wave|signal|speech)$", "float32[{b},4000]"),
    (r"^(points?|pointcloud|point_cloud|pc|xyz|pos|coords?)$", "float32[{b},3,64]"),
)  # fmt: skip

_DETECTED = "{'class_labels': int64[2]<2, 'boxes': float32[2,4]==0.25, 'masks': float32[2,{s},{s}]==1}"
"""What a detector compares its output with in one picture: classes, boxes in shares of its sides, masks."""

LISTED = re.compile(r"(list|List|Sequence)\[(torch\.(_VariableFunctionsClass\.)?)?[Tt]ensor")
"""Annotations of lists of tensors, those of `list[torch.tensor]` too, which means the function and not the class."""

NO_TENSOR = re.compile(r"past_key_value|cache|return_|output_|use_|^kwargs$|_state$|interpolate|mode$")
"""Names of optional arguments that are switches, or the state of an earlier call."""


def propose(model: torch.nn.Module, construction: Construction, subject: Subject | None) -> Iterator[Call]:
    """By names first, then the same with what the first layer takes in place of the first argument."""
    parameters = parameters_of(model.forward)
    names = [entry.name for entry in asked(model, parameters)]
    sizes = sizes_of(model, construction)
    first = input_of_first_layer(model, sizes)
    by_name = {name: text for name in names if (text := usual_input(name, annotation_of(parameters[name]), sizes))}
    rule = "names of the arguments"
    given = tuple((name, by_name.get(name) or as_annotated(first, annotation_of(parameters[name]), sizes)) for name in names)
    yield Call(_as_graph(given, sizes, model), rule)
    if names and names[0] in by_name:
        yield Call(((names[0], first), *given[1:]), "what the first layer takes")
    if not names and any(entry.kind is inspect.Parameter.VAR_POSITIONAL for entry in parameters.values()):
        yield Call((("", first),), "what the first layer takes")


def usual_input(name: str, annotation: str, sizes: Sizes) -> str:
    """The text of an argument of that name, empty where the name tells nothing."""
    fill = {
        "b": sizes.batch,
        "c": sizes.channels,
        "s": sizes.image,
        "t": sizes.length,
        "v": sizes.vocabulary,
        "d": sizes.width,
        "k": sizes.classes,
        "f": sizes.frames,
    }
    if re.search(r"(list|List)\[(tuple|Tuple)\[int, int, int\]", annotation):  # frames, rows and columns of each picture
        picture = (1, sizes.length // 4, 4)
        return str([[picture] if re.search(r"(list|List)\[(list|List)\[", annotation) else picture] * sizes.batch)
    if annotation in ("int", "float", "bool", "str"):
        return {"int": "1", "float": "0.5", "bool": "False", "str": "''"}[annotation]
    if re.match(r"(list|List|Sequence)\[(int|float)\]", annotation):
        return "(0.5, 0.5)" if "float" in annotation else "(1, 1)"
    if re.search(r"(list|List)\[(dict|Dict)", annotation) and re.fullmatch(r"labels|targets", name):
        return "[" + ", ".join([_DETECTED.replace("{s}", str(sizes.image))] * sizes.batch) + "]"
    for pattern, text in _USUAL:
        if re.search(pattern, name):
            return as_annotated(text.format(**fill), annotation, sizes)
    return ""


def as_annotated(text: str, annotation: str, sizes: Sizes) -> str:
    """The tensor of a batch as a list of its examples, where the annotation asks for a list; else as it is."""
    if not LISTED.search(annotation) or shape_of(text) is None:
        return text
    example = text.replace(f"[{sizes.batch},", "[", 1)
    return f"[{example}, {example}]"


def asked(model: torch.nn.Module, parameters: dict[str, inspect.Parameter]) -> list[inspect.Parameter]:
    """The arguments to give: those without a default; of a model that has only optional ones, its main input."""
    needed = required(parameters)
    if needed:
        return needed
    main = getattr(model, "main_input_name", None)
    usual = [main, "input_ids", "pixel_values", "input_values", "input_features", "x", "inputs_embeds", "hidden_states"]
    chosen = [parameters[name] for name in dict.fromkeys(usual) if isinstance(name, str) and name in parameters][:1]
    positional = [entry for entry in parameters.values() if entry.kind.name.startswith("POSITIONAL")]
    return chosen or positional[:1]


def _as_graph(given: tuple[tuple[str, str], ...], sizes: Sizes, model: torch.nn.Module) -> tuple[tuple[str, str], ...]:
    """Nodes beside edges are (nodes, features), and no batch."""
    if not any(re.search(r"edge_(index|indices)$|^edges$|^(adj|adjacency)", name) for name, _ in given):
        return given
    return tuple(
        (name, f"float32[8,{node_features(model, sizes)}]") if index == 0 and not name.startswith(("edge", "adj")) else (name, text)
        for index, (name, text) in enumerate(given)
    )
