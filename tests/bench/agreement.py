"""Whether an audit under fake tensors says what a real run says, over public architectures: a verdict per parameter, and the causes.

`live`, `zero` and `nonfinite` are one verdict here, since fake tensors hold no numbers. What is compared are models of the packages that
are installed: torchvision, timm and transformers (small configurations, random weights; nothing is downloaded).
`python tests/bench/agreement.py [WORD ...]`: only those whose name has one of the words.
"""

from __future__ import annotations

import importlib.util
import pathlib
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from gradflow.api import build_report
from gradflow.capture.fake import fake_mode
from gradflow.capture.model import audit_model
from gradflow.graph.recording import Target, TargetKind
from gradflow.report import Report

Case = tuple[str, Callable[[], torch.nn.Module], Callable[[], dict[str, Any]]]
REACHED = ("live", "zero", "nonfinite")

VISION = (
    "alexnet", "vgg11_bn", "resnet18", "resnext50_32x4d", "squeezenet1_1", "densenet121", "googlenet", "shufflenet_v2_x0_5", "mobilenet_v2",
    "mobilenet_v3_small", "mnasnet0_5", "efficientnet_b0", "regnet_y_400mf", "convnext_tiny", "swin_t", "swin_v2_t",
)  # fmt: skip
TIMM = (
    "vit_tiny_patch16_224", "deit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "mixer_s32_224", "gmlp_ti16_224", "resmlp_12_224",
    "convmixer_768_32", "poolformer_s12", "pit_ti_224", "cait_xxs24_224", "xcit_nano_12_p16_224", "coat_tiny", "levit_128s", "convit_tiny",
    "crossvit_tiny_240", "tnt_s_patch16_224", "twins_svt_small", "visformer_tiny", "mobilevit_xxs", "edgenext_xx_small", "ghostnet_050",
    "hardcorenas_a", "tf_efficientnetv2_b0", "res2net50_14w_8s", "sknet18" , "repvgg_a0", "dla34", "hrnet_w18_small", "selecsls42b",
    "rexnet_100", "nfnet_l0", "lcnet_050", "fastvit_t8", "inception_next_tiny", "mambaout_femto", "starnet_s1", "efficientvit_b0",
    "maxvit_pico_rw_256", "beit_base_patch16_224", "eva02_tiny_patch14_224",
)  # fmt: skip
TOKENS = (
    "Bert", "Roberta", "Electra", "Albert", "DistilBert", "MPNet", "Deberta", "DebertaV2", "XLNet", "GPT2", "GPTNeo", "GPTNeoX", "OPT",
    "Bloom", "Llama", "Mistral", "Mixtral", "Qwen2", "Qwen2Moe", "Gemma", "Phi", "Falcon", "Mamba", "T5", "Bart", "Pegasus", "MBart",
    "Longformer", "Reformer", "RoFormer", "Funnel", "SqueezeBert", "MobileBert", "FNet", "Nystromformer", "Yoso", "Canine",
)  # fmt: skip
SMALL = {
    "vocab_size": 96, "hidden_size": 32, "d_model": 32, "n_embd": 32, "dim": 32, "embedding_size": 32, "emb_dim": 32,
    "num_hidden_layers": 2, "num_layers": 2, "n_layer": 2, "n_layers": 2, "encoder_layers": 2, "decoder_layers": 2,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "ffn_dim": 48, "d_ff": 48, "d_inner": 48, "d_kv": 8, "d_head": 8, "head_dim": 8,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64, "num_local_experts": 4, "num_experts": 4,
    "moe_intermediate_size": 24, "shared_expert_intermediate_size": 24, "true_hidden_size": 32, "intra_bottleneck_size": 32,
    "word_embed_proj_dim": 32, "pad_token_id": 0, "attention_window": [8, 8], "block_sizes": [1, 1], "attention_types": [[["global"], 2]],
    "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [4, 4], "attn_layers": ["local", "local"], "local_attn_chunk_length": 8,
    "attention_head_size": 8, "feed_forward_size": 48, "layer_types": None,
}  # fmt: skip


def main(words: list[str]) -> None:
    """Prints a line for each architecture, and the sum."""
    warnings.simplefilter("ignore")
    agreed = compared = parameters = different = 0
    failed = []
    for name, build, inputs in _cases():
        if words and not any(word in name for word in words):
            continue
        began = time.process_time()
        try:
            real = _real(build, inputs)
        except Exception as error:  # noqa: BLE001 - another version of the package: what does not run for real is no case
            print(f"{name:36} does not run: {type(error).__name__}: {str(error).splitlines()[0][:90]}")
            continue
        middle = time.process_time()
        compared += 1
        try:
            fake = _fake(build, inputs)
        except Exception as error:  # noqa: BLE001 - the finding of this bench
            failed.append(name)
            print(f"{name:36} FAILS under fake: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
            continue
        wrong = _differences(real, fake)
        agreed += not wrong
        parameters += len(real.parameters)
        different += len(wrong)
        spent = f"real {middle - began:5.1f} s  fake {time.process_time() - middle:5.1f} s"
        print(f"{name:36} {len(real.parameters):5} parameters  {spent}  {'; '.join(wrong[:4]) or 'agrees'}", flush=True)
    print(f"{agreed} of {compared} architectures agree, {len(failed)} fail; {different} of {parameters} parameters or causes differ")


def _real(build: Callable[[], torch.nn.Module], inputs: Callable[[], dict[str, Any]]) -> Report:
    torch.manual_seed(0)
    model = build()
    return build_report(audit_model(model, (), inputs(), target=Target(TargetKind.API, "", "")))


def _fake(build: Callable[[], torch.nn.Module], inputs: Callable[[], dict[str, Any]]) -> Report:
    torch.manual_seed(0)
    with fake_mode() as mode:
        model = build()
        return build_report(audit_model(model, (), inputs(), target=Target(TargetKind.API, "", ""), fake=mode))


def _differences(real: Report, fake: Report) -> list[str]:
    left, right = ({row.name: _folded(row.verdict.value) for row in report.parameters} for report in (real, fake))
    wrong = [f"{name}: {left.get(name)} / {right.get(name)}" for name in left | right if left.get(name) != right.get(name)]
    return wrong + [f"cause {place}" for place in sorted(_causes(real) ^ _causes(fake))]


def _folded(verdict: str) -> str:
    return "reached" if verdict in REACHED else verdict


def _causes(report: Report) -> set[str]:
    """Code and line of what cut the graph; what is found in numbers alone (GF2..) has no counterpart."""
    found = [finding for finding in report.findings if finding.code[:3] in ("GF1", "GF3")]
    return {
        f"{finding.code} {finding.cause.file.rsplit('/', 1)[-1]}:{finding.cause.line}" for finding in found if finding.cause is not None
    }


def _cases() -> Iterator[Case]:
    _let_torchvision_load()
    if importlib.util.find_spec("torchvision") is not None:
        yield from _torchvision()
    if importlib.util.find_spec("timm") is not None:
        yield from _timm()
    if importlib.util.find_spec("transformers") is not None:
        yield from _transformers()


def _let_torchvision_load() -> None:
    """A torchvision that was built for another torch lacks its own operations, which no model here calls: they are declared instead."""
    spec = importlib.util.find_spec("torchvision")
    if (
        spec is None
        or spec.origin is None
        or subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True).returncode == 0
    ):
        return
    text = pathlib.Path(spec.origin).with_name("_meta_registrations.py").read_text("utf-8")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in sorted(set(re.findall(r"torchvision::(\w+)", text)) | set(re.findall(r'register_meta\("(\w+)"', text))):
        library.define(f"{name}(Tensor value) -> Tensor")
    _KEPT.append(library)


_KEPT: list[Any] = []
_CONVOLUTIONS = (
    "ghostnet", "hardcorenas", "efficientnet", "res2net", "sknet", "byobnet", "dla", "hrnet", "selecsls", "rexnet", "nfnet", "mobilenetv3",
    "convmixer", "starnet", "efficientvit_mit", "mambaout", "inception_next", "metaformer", "edgenext",
)  # fmt: skip


def _torchvision() -> Iterator[Case]:
    import torchvision.models

    for name in VISION:
        make = getattr(torchvision.models, name)
        more = {"init_weights": False} if name == "googlenet" else {}
        yield f"torchvision {name}", lambda make=make, more=more: make(num_classes=10, **more), lambda: {"x": torch.randn(2, 3, 96, 96)}


def _timm() -> Iterator[Case]:
    import timm

    for name in TIMM:
        if not timm.list_models(name):
            continue
        # Small images where the architecture takes them: a real run of forty models is long.
        size = 240 if "240" in name else 256 if "256" in name else 96 if timm.models.is_model_in_modules(name, _CONVOLUTIONS) else 224

        def inputs(size: int = size) -> dict[str, Any]:
            return {"x": torch.randn(2, 3, size, size)}

        yield f"timm {name}", lambda name=name: timm.create_model(name, num_classes=10), inputs


def _transformers() -> Iterator[Case]:
    import transformers

    for name in TOKENS:
        config = getattr(transformers, f"{name}Config", None)
        model = getattr(transformers, f"{name}Model", None)
        if config is None or model is None:
            continue

        def build(config: Any = config, model: Any = model) -> torch.nn.Module:
            known = config().to_dict()
            made: torch.nn.Module = model(config(**{key: value for key, value in SMALL.items() if key in known}))
            return made.train()

        def inputs(name: str = name) -> dict[str, Any]:
            ids = torch.arange(2 * 16).reshape(2, 16) % 90 + 3
            given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            if name in ("Mamba", "FNet"):
                del given["attention_mask"]
            return given | ({"decoder_input_ids": ids} if name in ("T5",) else {})

        yield f"transformers {name}", build, inputs


if __name__ == "__main__":
    main(sys.argv[1:])
