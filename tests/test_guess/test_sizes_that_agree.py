"""How constructions are mended whose sizes are too large, missing, unset or unequal: one small file of real shape for each rule."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from model_files import Load

from gradflow.capture.guess import search
from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.mend_init import kinds
from gradflow.capture.guess.search import Deadline, Found, find
from gradflow.capture.guess.subject import Construction, Subject
from gradflow.capture.guess.target import subjects_of
from gradflow.capture.guess.usual import usual_value


def _built(load: Load, text: str) -> str:
    found = find(subjects_of(load(text))[0], Deadline(20))
    assert isinstance(found, Found), found
    return found.construction.text


def test_sizes_whose_names_are_only_like_the_usual_ones_are_made_small_in_the_end(load: Load) -> None:
    text = """
    class Trunk(nn.Module):
        def __init__(self, token_dim=16384, nlayers=20, depths=(9, 9)):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Linear(token_dim, token_dim) for _ in range(nlayers * sum(depths)))

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x
    """
    assert _built(load, text) == "Trunk(token_dim=64, nlayers=2, depths=(1, 1))"


CONFIGURED = """
from dataclasses import dataclass, field


@dataclass
class VisionCfg:
    width: int = 768
    layers: int = 12


@dataclass
class Rope:
    theta: float


@dataclass
class TextCfg:
    hidden_size: int
    rope: Rope


class Clip(nn.Module):
    def __init__(self, embed_dim, text_cfg: TextCfg, vision_cfg: VisionCfg):
        super().__init__()
        self.text = nn.Linear(text_cfg.hidden_size, embed_dim)
        self.scale = nn.Parameter(torch.tensor(text_cfg.rope.theta))
        self.visual = nn.ModuleList(nn.Linear(vision_cfg.width, vision_cfg.width) for _ in range(vision_cfg.layers))

    def forward(self, text):
        return self.text(text) * self.scale
"""


def test_each_argument_that_is_annotated_with_a_record_of_sizes_gets_one(load: Load) -> None:
    expected = "Clip(embed_dim=64, text_cfg=TextCfg(hidden_size=64, rope=Rope(theta=10000.0)), vision_cfg=VisionCfg(width=64, layers=2))"
    assert _built(load, CONFIGURED) == expected


ENCODER_DECODER = """
class LM(nn.Module):
    def __init__(self, *, dim, num_tokens, depth):
        super().__init__()
        self.emb = nn.Embedding(num_tokens, dim)
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))

    def forward(self, x):
        x = self.emb(x)
        for layer in self.layers:
            x = layer(x)
        return x


class EncDec(nn.Module):
    def __init__(self, dim, **kwargs):
        super().__init__()
        share = kwargs.pop("dropout")
        enc_kwargs = {key[4:]: value for key, value in kwargs.items() if key.startswith("enc_")}
        dec_kwargs = {key[4:]: value for key, value in kwargs.items() if key.startswith("dec_")}
        self.enc = LM(dim=dim, **enc_kwargs)
        self.dec = LM(dim=dim, **dec_kwargs)
        self.drop = nn.Dropout(share)

    def forward(self, input_ids, target_ids):
        return self.drop(self.dec(target_ids) + self.enc(input_ids).mean(1, keepdim=True))
"""


def test_what_a_constructor_hands_on_is_given_with_the_prefix_that_it_splits_by(load: Load) -> None:
    expected = "EncDec(dim=64, dropout=0.0, enc_num_tokens=128, enc_depth=2, dec_num_tokens=128, dec_depth=2)"
    assert _built(load, ENCODER_DECODER) == expected


NESTED = """
class PartConfig:
    model_type = "part"

    def __init__(self, hidden_size=768, out_size=1024, backbone_config=None, vocab_size=None):
        self.hidden_size, self.out_size, self.vocab_size = hidden_size, out_size, vocab_size
        if backbone_config is not None:
            self.backbone_config = PartConfig(backbone_config["hidden_size"])

    def to_dict(self):
        return vars(self)


class NetConfig:
    def __init__(self, vision_config=None, text_config=None):
        self.vision_config = PartConfig(**{"backbone_config": {"hidden_size": 512}, **(vision_config or {})})
        self.text_config = PartConfig(**(text_config or {}))
        if self.vision_config.out_size != self.text_config.hidden_size:
            one, other = self.vision_config.out_size, self.text_config.hidden_size
            raise ValueError(f"vision_config.out_size ({one}) must equal text_config.hidden_size ({other}).")


class Net(nn.Module):
    def __init__(self, config: NetConfig):
        super().__init__()
        text = config.text_config
        self.emb = nn.Embedding(text.vocab_size, text.hidden_size)
        self.visual = nn.Linear(config.vision_config.backbone_config.hidden_size, config.vision_config.out_size)

    def forward(self, input_ids):
        return self.emb(input_ids)
"""


def test_configurations_in_each_other_are_made_small_and_agree(load: Load) -> None:
    module = load(NESTED.replace("out_size=1024", "out_size=768"))
    found = find(subjects_of(module)[0], Deadline(20))
    assert isinstance(found, Found), found
    given = found.construction.given()
    assert (given["config.text_config.hidden_size"], given["config.text_config.vocab_size"]) == ("64", "128")
    assert (given["config.vision_config.out_size"], given["config.vision_config.backbone_config.hidden_size"]) == ("64", "64")


@pytest.mark.parametrize(
    "check",
    [
        "assert width == out_size",
        "if width != out_size:\n                raise ValueError(f'width {width} should match out_size {out_size}')",
    ],
)
def test_sizes_that_have_to_be_equal_are_made_so(load: Load, check: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self, width, out_size=48):
            super().__init__()
            {check}
            self.lin = nn.Linear(width, out_size)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == "Net(width=48)"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("out = list(encoder_channels)[1:]\n            out = [out[i] for i in range(depth)]",
         "Decoder(encoder_channels=[64, 64, 64, 64, 64, 64])"),
        ("if len(encoder_channels) != depth:\n                raise ValueError(f'depth is {depth}, not {len(encoder_channels)}')",
         "Decoder(encoder_channels=[64, 64, 64, 64, 64])"),
        ("assert len(encoder_channels) == len(strides)", "Decoder(encoder_channels=[64, 64], strides=(2, 2))"),
    ],
)  # fmt: skip
def test_a_list_of_sizes_gets_as_many_entries_as_there_are_stages(load: Load, body: str, expected: str) -> None:
    text = f"""
    class Decoder(nn.Module):
        def __init__(self, encoder_channels: list[int], depth=5, strides=(2, 2, 2)):
            super().__init__()
            {body}
            self.convs = nn.ModuleList(nn.Linear(width, width) for width in encoder_channels)

        def forward(self, x):
            return [conv(x) for conv in self.convs]
    """
    assert _built(load, text) == expected


@pytest.mark.parametrize(
    ("name", "annotation", "expected"),
    [
        ("num_channels", "Sequence[int]", "(64, 64)"),
        ("attention_levels", "Sequence[bool]", "(False, False)"),
        ("kernel_size", "tuple[int, int, int]", "(3, 3, 3)"),
        ("depths", "List[int] | None", "[2, 2]"),
        ("unheard_of", "Optional[List[int]]", "[64, 64]"),
        ("mask", "Sequence[Sequence[bool]]", "((False, False), (False, False))"),
        ("in_channels", "int | Sequence[int]", "3"),
        ("betas", "Tuple[float, float]", "(1e-4, 0.02)"),
        ("options", "Dict[str, str]", "{}"),
        ("depths", "dict", "{}"),
    ],
)
def test_an_annotation_tells_how_many_values_are_meant_and_of_what_kind(name: str, annotation: str, expected: str) -> None:
    assert usual_value(name, annotation) == expected


def test_arguments_that_are_none_by_default_and_needed_are_given(load: Load) -> None:
    text = """
    class DiT(nn.Module):
        def __init__(self, in_channels=None, patch_size=None, num_layers=2):
            super().__init__()
            self.proj = nn.Conv2d(in_channels, in_channels * patch_size, patch_size)

        def forward(self, x):
            return self.proj(x)
    """
    assert _built(load, text) == "DiT(in_channels=3, patch_size=8)"


def test_a_smaller_vocabulary_gets_smaller_special_tokens(load: Load) -> None:
    text = """
    class Model(nn.Module):
        def __init__(self, hidden_size=8192, vocab_size=60000, pad_token_id=59999):
            super().__init__()
            self.emb = nn.Embedding(vocab_size, hidden_size, padding_idx=pad_token_id)

        def forward(self, input_ids):
            return self.emb(input_ids)
    """
    assert _built(load, text) == "Model(vocab_size=128, pad_token_id=1)"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("self.norm = nn.GroupNorm(32, width)", "Net(channels=(64, 64), width=64)"),
        ("inner, head = width, 24\n            if inner % head:\n                raise ValueError('inner must be divisible by head')",
         "Net(channels=(3, 3), width=24)"),
        ("self.norm = nn.GroupNorm(32, channels[0])", "Net(channels=(64, 64), width=3)"),
    ],
)  # fmt: skip
def test_a_number_becomes_a_multiple_of_the_one_that_it_has_to_be_divisible_by(load: Load, body: str, expected: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self, channels=(3, 3), width=3):
            super().__init__()
            {body}
            self.lin = nn.Linear(channels[0], width)

        def forward(self, x):
            return self.lin(x)
    """
    found = find(subjects_of(load(text))[0], Deadline(20))
    assert isinstance(found, Found), found
    given = {"channels": "(3, 3)", "width": "3", **dict(found.construction.arguments)}
    assert f"Net(channels={given['channels']}, width={given['width']})" in (expected, expected.replace("(64, 64)", "(3, 3)"))


def test_a_class_whose_sizes_are_empty_by_default_is_made_by_a_function_of_the_file(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, depths=()):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(sum(depths)))
            self.first = self.blocks[0]

        def forward(self, x):
            return self.first(x)


    def _create(**kwargs):
        make = Net
        return make(**kwargs)


    def net_tiny():
        return _create(depths=(1, 1))
    """
    assert _built(load, text) == "net_tiny()"


def test_an_item_of_a_dict_is_read_and_changed_as_a_field_is() -> None:
    construction = Construction("Net", (("config", "Cfg(text={'width': 64, 'kind': 'a'})"),))
    assert construction.given()["config.text.width"] == "64"
    changed = construction.with_argument("config.text.width", "8").with_argument("config.vision.width", "4")
    assert changed.text == "Net(config=Cfg(text={'kind': 'a', 'width': 8}, vision={'width': 4}))"


def test_parts_that_have_to_add_up_to_a_size_are_made_to(load: Load) -> None:
    text = """
    class Trunk(nn.Module):
        def __init__(self, dim, heads=4, axes_dims=(32, 48, 48)):
            super().__init__()
            assert sum(axes_dims) == dim // heads
            self.lin = nn.Linear(dim, sum(axes_dims) * heads)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == "Trunk(dim=64, axes_dims=[8, 4, 4])"


def test_what_a_rule_found_before_it_stumbled_is_tried() -> None:
    def mended() -> Iterator[int]:
        yield 1
        raise SyntaxError

    assert search._few(mended()) == [1]


def test_a_list_of_pairs_becomes_other_pairs_and_a_configuration_keeps_its_kind() -> None:
    given = Construction("Net", (("sizes", "[(2, 3), (2, 3)]"), ("config", "Config(width=2)")))
    failure = Failure(TypeError("sizes and config: 'int' object is not iterable"), ())
    texts = [dict(mended.arguments) for mended in kinds.mend(given, failure, Subject("Net", object, {}))]
    assert texts[0]["sizes"] == "(2, 2)"
    assert {one["config"] for one in texts} == {"Config(width=2)"}
