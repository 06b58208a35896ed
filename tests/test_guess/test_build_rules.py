"""How a class is built: one small file of real shape for each rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_files import Load

from gradflow.capture.guess.compared import Told, compared_words
from gradflow.capture.guess.construction.called import stored_and_called
from gradflow.capture.guess.made import made_with
from gradflow.capture.guess.search import Deadline, Found, Missed, find
from gradflow.capture.guess.subject import Construction
from gradflow.capture.guess.target import subjects_of
from gradflow.capture.guess.usual import usual_value


def _built(load: Load, text: str, name: str = "") -> str:
    """The call that builds the file's main class, or the class `name`."""
    subjects = subjects_of(load(text))
    found = find(next(subject for subject in subjects if name in ("", subject.name)), Deadline(20))
    assert isinstance(found, Found), found
    return found.construction.text


WRAPPED = """
class Unet(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.channels = 3
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x, time):
        return self.conv(x)


class GaussianDiffusion(nn.Module):
    def __init__(self, model, *, timesteps=10):
        super().__init__()
        self.model, self.steps = model, timesteps
        assert model.channels == 3

    def forward(self, img):
        t = torch.randint(0, self.steps, (img.shape[0],))
        return (self.model(img, t) - img).square().mean()
"""


def test_an_argument_that_is_a_model_is_another_class_of_the_file(load: Load) -> None:
    assert _built(load, WRAPPED) == "GaussianDiffusion(model=Unet())"


def test_an_argument_that_is_the_class_of_a_block_is_one_of_the_file(load: Load) -> None:
    text = """
    class Bottleneck(nn.Module):
        expansion = 2

        def __init__(self, planes):
            super().__init__()
            self.conv = nn.Conv2d(planes, planes, 1)

        def forward(self, x):
            return self.conv(x)


    class ResNet(nn.Module):
        def __init__(self, block, layers):
            super().__init__()
            self.width = 4 * block.expansion
            self.blocks = nn.Sequential(*[block(3) for _ in range(layers[0] + layers[1])])

        def forward(self, x):
            return self.blocks(x)
    """
    assert _built(load, text, "ResNet") == "ResNet(block=Bottleneck, layers=(2, 2))"


def test_an_encoder_that_the_file_does_not_define_is_a_stand_in(load: Load) -> None:
    text = """
    class Probe(nn.Module):
        def __init__(self, encoder):
            super().__init__()
            self.encoder = encoder
            self.head = nn.LazyLinear(4)

        def forward(self, images):
            return self.head(self.encoder(images).flatten(1))
    """
    assert _built(load, text) == "Probe(encoder=nn.Sequential(nn.Conv2d(3, 64, 3, 2, 1), nn.ReLU()))"


def test_what_is_stored_and_called_is_a_model_also_where_its_fields_are_read(load: Load) -> None:
    text = """
    class Layers(nn.Module):
        def __init__(self, **kwargs):
            super().__init__()
            assert "depth" in kwargs, "`depth` must be passed in for `Layers`"
            self.dim = 8
            self.lin = nn.Linear(8, 8)

        def forward(self, x):
            return self.lin(x)


    class DecoderLayers(Layers):
        pass


    class Wrapper(nn.Module):
        def __init__(self, inner: Layers, chain=None):
            super().__init__()
            self.inner, self.chain = inner, chain
            self.emb = nn.Embedding(16, inner.dim)

        def forward(self, x):
            return self.inner(self.emb(x))


    class LanguageModel(nn.Module):
        def __init__(self, wrapped):
            super().__init__()
            self.wrapped = wrapped
            self.width = wrapped.emb.embedding_dim

        def forward(self, tokens):
            return self.wrapped(tokens)
    """
    module = load(text)
    assert stored_and_called(module.LanguageModel) == {"wrapped"}
    subject = next(subject for subject in subjects_of(module) if subject.name == "LanguageModel")
    found = find(subject, Deadline(20))
    assert isinstance(found, Found), found
    assert found.construction.text == "LanguageModel(wrapped=Wrapper(inner=Layers(depth=2)))"


def test_layers_of_a_model_that_is_given_too_are_named_as_it_names_them(load: Load) -> None:
    text = """
    class LayerGetter(nn.Module):
        def __init__(self, model: nn.Module, return_layers: dict[str, str]):
            super().__init__()
            if not set(return_layers).issubset(name for name, _ in model.named_children()):
                raise ValueError("return_layers are not present in model")
            self.model, self.return_layers = model, return_layers

        def forward(self, x):
            out = {}
            for name, layer in self.model.named_children():
                x = layer(x)
                out.update({self.return_layers[name]: x} if name in self.return_layers else {})
            return out
    """
    given = _built(load, text)
    assert given == "LayerGetter(model=nn.Sequential(nn.Conv2d(3, 64, 3, 2, 1), nn.ReLU()), return_layers={'0': '0', '1': '1'})"


def test_a_dictionary_of_sizes_in_the_file_is_made_small(load: Load) -> None:
    text = """
    GPT_CONFIG_124M = {"vocab_size": 50257, "emb_dim": 768, "n_layers": 12, "qkv_bias": False}


    class GPTModel(nn.Module):
        def __init__(self, cfg):
            super().__init__()
            self.tok = nn.Embedding(cfg["vocab_size"], cfg["emb_dim"])
            self.layers = nn.ModuleList(nn.Linear(cfg["emb_dim"], cfg["emb_dim"], bias=cfg["qkv_bias"]) for _ in range(cfg["n_layers"]))

        def forward(self, in_idx):
            x = self.tok(in_idx)
            for layer in self.layers:
                x = layer(x)
            return x
    """
    assert _built(load, text) == "GPTModel(cfg={**GPT_CONFIG_124M, 'emb_dim': 64, 'n_layers': 2, 'vocab_size': 128})"


def test_a_configuration_that_is_nowhere_is_made_up_as_it_is_read(load: Load) -> None:
    text = """
    class Model(nn.Module):
        def __init__(self, config):
            super().__init__()
            ch, mult = config.model.ch, tuple(config.model.ch_mult)
            if config.model.kind == "resample":
                self.up = nn.ModuleList(nn.Conv2d(3, ch * m, 1) for m in mult)
            self.flag = hasattr(config, "legacy")

        def forward(self, x):
            return [up(x) for up in self.up]
    """
    assert _built(load, text) == "Model(config=Made(model=Made(ch=64, ch_mult=(1, 2), kind='resample')))"


def test_a_dataclass_of_sizes_is_made_small(load: Load) -> None:
    text = """
    from dataclasses import dataclass


    @dataclass
    class ModelArgs:
        dim: int = 4096
        n_layers: int = 32
        vocab_size: int = -1


    class Transformer(nn.Module):
        def __init__(self, args: ModelArgs):
            super().__init__()
            self.tok = nn.Embedding(args.vocab_size, args.dim)
            self.layers = nn.ModuleList(nn.Linear(args.dim, args.dim) for _ in range(args.n_layers))

        def forward(self, tokens):
            h = self.tok(tokens)
            for layer in self.layers:
                h = layer(h)
            return h
    """
    assert _built(load, text) == "Transformer(args=ModelArgs(dim=64, n_layers=2, vocab_size=128))"


def test_defaults_that_make_too_much_are_made_small(load: Load) -> None:
    text = """
    class DiT(nn.Module):
        def __init__(self, hidden_size=16384, depth=28):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Linear(hidden_size, hidden_size) for _ in range(depth))

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x
    """
    assert _built(load, text) == "DiT(hidden_size=64, depth=2)"


def test_a_method_that_makes_the_model_is_called_as_the_docstring_does(load: Load) -> None:
    text = '''
    class EfficientNet(nn.Module):
        """A network.

        Example:
            >>> model = EfficientNet.from_pretrained("b0")
            >>> model = EfficientNet.from_name("b0")
        """

        def __init__(self, blocks_args=None):
            super().__init__()
            assert isinstance(blocks_args, list), "blocks_args should be a list"
            self.conv = nn.Conv2d(3, 4, 3)

        @classmethod
        def from_name(cls, model_name):
            return cls([model_name])

        def forward(self, inputs):
            return self.conv(inputs)
    '''
    assert _built(load, text) == "EfficientNet.from_name(model_name='b0')"


def test_a_function_of_the_file_that_needs_arguments_is_given_the_usual_ones(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, widths, head):
            super().__init__()
            assert widths == [4, 8] and callable(head)
            self.conv, self.head = nn.Conv2d(3, 8, 3), head(8)

        def forward(self, x):
            return self.head(self.conv(x).mean((2, 3)))


    def net_small(num_classes, pretrained=True):
        assert not pretrained
        return Net([4, 8], lambda width: nn.Linear(width, num_classes))
    """
    assert _built(load, text) == "net_small(num_classes=10, pretrained=False)"


@pytest.mark.parametrize(
    "check",
    [
        "if kind not in self.kinds:\n                raise KeyError(kind)",
        "try:\n                self.kinds[kind]\n            except KeyError:\n                raise LookupError('no such backbone')",
        "if kind not in self.kinds:\n                raise RuntimeError('pass one of: resnet18 or resnet50')",
        "assert kind == 'resnet18'",
    ],
)
def test_an_argument_that_has_to_be_one_of_several_is_made_one_of_them(load: Load, check: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self, kind, width):
            super().__init__()
            self.kinds = {{"resnet18": 1, "resnet50": 2}}
            {check}
            self.lin = nn.Linear(width, self.kinds[kind])

        def forward(self, x):
            return self.lin(x)
    """
    assert "kind='resnet18'" in _built(load, text)


@pytest.mark.parametrize("argument", ["config_path", "cfg='nowhere/net-tiny.json'"])
def test_a_file_of_sizes_beside_the_model_is_found(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "net.json").write_text('{"width": 64}', "utf-8")
    (tmp_path / "configs" / "net-tiny.json").write_text('{"width": 8}', "utf-8")
    monkeypatch.chdir(tmp_path)
    name = argument.partition("=")[0]
    text = f"""
    import json


    class Net(nn.Module):
        def __init__(self, {argument}):
            super().__init__()
            with open({name}) as file:
                self.lin = nn.Linear(json.load(file)["width"], 4)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == f"Net({name}='configs/net-tiny.json')"


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("if stride == 16:\n                rates = [1, 6]\n            elif stride == 8:\n                rates = [1, 12]\n"
         "            else:\n                raise NotImplementedError", "Net(depth=2, stride=8)"),
        ("sizes = {18: 2, 34: 3}\n            if depth not in sizes:\n                raise ValueError('no such network')",
         "Net(depth=18, stride=1)"),
        ("with torch.no_grad():\n                assert depth in (50, 101) and stride == 4", "Net(depth=50, stride=4)"),
    ],
)  # fmt: skip
def test_an_argument_gets_what_the_conditions_before_the_error_compare_it_with(load: Load, check: str, expected: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self, depth, stride):
            super().__init__()
            {check}
            self.lin = nn.Linear(8, 4)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == expected


def test_an_argument_of_the_wrong_kind_becomes_several(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, spread, in_features):
            super().__init__()
            first, second = spread
            self.lin = nn.Linear(in_features, first * second)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == "Net(spread=(2, 2), in_features=64)"


def test_widths_that_do_not_divide_are_made_to(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, span, parts):
            super().__init__()
            assert span % 16 == 0, f"span {span} is not divisible"
            self.lin = nn.Linear(span, parts)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == "Net(span=64, parts=2)"


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        ('AssertionError("Torch not compiled with CUDA enabled")', "it needs CUDA (line 8), which is not to be had here"),
        ("OSError(\"We couldn't connect to 'https://x' to load this file\")", "it fetches weights (line 8), and there is no network"),
    ],
)
def test_a_device_or_a_network_that_is_not_there_ends_the_search_with_a_sentence(load: Load, raised: str, sentence: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()
            raise {raised}

        def forward(self, x):
            return x
    """
    assert find(subjects_of(load(text))[0], Deadline(10)) == Missed("Net", "build", sentence)


def test_fields_of_a_configuration_are_read_and_changed_one_by_one() -> None:
    construction = Construction("Net", (("config", "Made(model=Made(ch=3), depth=2)"),))
    assert construction.given()["config.model.ch"] == "3"
    assert construction.with_argument("config.model.ch", "64").text == "Net(config=Made(depth=2, model=Made(ch=64)))"


def test_what_a_file_says_of_the_fields_of_a_configuration() -> None:
    import ast

    told = compared_words(
        ast.parse(
            "if cfg.kind == 'a' or cfg['mode'].lower() in ('b', 'c'): pass\n"
            "if not cfg.frozen: pass\nw = cfg.kept is None\n"
            "x = getattr(cfg, 'rate', 0.5)\nfor w in cfg.widths: pass\ny = cfg.model.width\nz = hasattr(cfg, 'old')\n"
            "parser.add_argument('--seq-len', type=int, default=96)\n"
        )
    )
    expected = {
        "kind": "a",
        "mode": "b",
        "rate": 0.5,
        "widths": Told.SEVERAL,
        "model": Told.NESTED,
        "old": Told.ABSENT,
        "frozen": Told.FLAG,
        "kept": Told.OPTIONAL,
        "seq_len": 96,
    }
    assert {name: told[name] for name in expected} == expected


def test_a_made_up_configuration_can_be_written_down_and_made_again() -> None:
    made = made_with({"kind": "a", "old": Told.ABSENT, "frozen": Told.FLAG, "depth": Told.FLAG})
    assert (made().frozen, made().depth) == (False, 2)
    one = made()
    assert (one.kind, one["hidden_size"], hasattr(one, "old"), one.observation_space.shape) == ("a", 64, False, (8,))
    assert one.text() == "Made(kind='a', hidden_size=64, observation_space=Made(shape=(8,), n=4))"
    with pytest.raises(TypeError, match="has no item 0"):
        one[0]


def test_a_field_that_may_be_none_is_left_out_where_an_assertion_wants_that(load: Load) -> None:
    text = """
    class GPT(nn.Module):
        def __init__(self, config):
            super().__init__()
            assert config.vocab_size is not None
            assert (config.model_type is not None) ^ (config.n_embd is not None)
            self.emb = nn.Embedding(config.vocab_size, config.n_embd)

        def forward(self, idx):
            return self.emb(idx)
    """
    assert _built(load, text) == "GPT(config=Made(vocab_size=128, n_embd=64, model_type=None))"


def test_a_tuple_that_should_be_a_list_becomes_one(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, hidden_dims, in_features):
            super().__init__()
            first, second = hidden_dims
            hidden_dims.reverse()
            self.lin = nn.Linear(in_features, first)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == "Net(hidden_dims=[64, 64], in_features=64)"


def test_a_configuration_whose_field_cannot_be_read_is_used_all_the_same(load: Load) -> None:
    text = """
    class NetConfig:
        def __init__(self, hidden_size=256, num_layers=9):
            self.hidden_size, self.num_layers = hidden_size, num_layers

        @property
        def head_dim(self):
            raise RuntimeError("ask each layer")


    class Net(nn.Module):
        def __init__(self, config: NetConfig):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(config.hidden_size, config.hidden_size) for _ in range(config.num_layers))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x
    """
    assert _built(load, text) == "Net(config=NetConfig(hidden_size=64, num_layers=2))"


def test_a_decoder_gets_its_tokens(load: Load) -> None:
    text = """
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb = nn.Embedding(50, 8)

        def forward(self, input_ids):
            return self.emb(input_ids)


    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Embedding(50, 8), Decoder()

        def forward(self, input_ids=None, attention_mask=None, decoder_input_ids=None):
            return self.encoder(input_ids).mean() + self.decoder(input_ids=decoder_input_ids)
    """
    found = find(subjects_of(load(text))[0], Deadline(10))
    assert isinstance(found, Found)
    assert found.call.text == "input_ids=int64[2,16]<50, decoder_input_ids=int64[2,16]<50"


def test_only_what_fetches_weights_is_switched_off() -> None:
    from gradflow.capture.guess.construction.defaults import fetch_nothing

    def make(pretrained=True, weights="DEFAULT", weights_backbone="DEFAULT", pretrained_window=8, pretrained_base=True, pretrain=True): ...  # type: ignore[no-untyped-def]

    assert fetch_nothing(make) == (("pretrained", "False"), ("weights", "None"), ("weights_backbone", "None"), ("pretrained_base", "False"))


def test_a_call_that_is_written_down_is_made_without_the_weights_that_it_asks_for(load: Load) -> None:
    text = """
    class Net(nn.Module):
        '''
        Example:
            >>> net = Net(8, pretrained=True, weights="IMAGENET")
        '''

        def __init__(self, width, pretrained=False, weights=None):
            super().__init__()
            assert not pretrained and weights is None
            self.lin = nn.Linear(width, 4)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == "Net(width=8, pretrained=False, weights=None)"


def test_the_smallest_of_the_files_functions_is_called_first(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, width, kind):
            super().__init__()
            assert kind == "known"
            self.lin = nn.Linear(width, 4)

        def forward(self, x):
            return self.lin(x)


    def net_large():
        return Net(*[4096, "known"])


    def net_mobilenet_v3_large():
        return Net(*[16, "known"])
    """
    assert _built(load, text) == "net_mobilenet_v3_large()"


def test_an_argument_whose_name_says_nothing_has_the_default_that_it_has_elsewhere(load: Load) -> None:
    text = """
    class Block(nn.Module):
        def __init__(self, dim, flavour: str, strength: int):
            super().__init__()
            assert strength == 2
            self.lin = {"sweet": nn.Linear, "sour": nn.Bilinear}[flavour](dim, dim)

        def forward(self, x):
            return self.lin(x)


    class Other(nn.Module):
        def __init__(self, dim=4, flavour="sweet", strength="strong"):
            super().__init__()

        def forward(self, x):
            return x
    """
    assert _built(load, text, "Block") == "Block(dim=64, flavour='sweet', strength=2)"


def test_one_number_is_given_where_one_or_several_do() -> None:
    assert usual_value("kernel_size", "Sequence[int] | int") == "3"
    assert usual_value("kernel_size", "Sequence[int]") == "(3, 3)"


def test_what_a_function_hands_on_to_its_class_is_made_small_too(load: Load) -> None:
    text = """
    def make(**kwargs):
        return Net(torch.Size((8,)), **kwargs)


    class Net(nn.Module):
        def __init__(self, first, max_size=1000000):
            super().__init__()
            self.lin = nn.Linear(first[0], max_size * 100)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == "make(max_size=128)"


@pytest.mark.parametrize(
    ("condition", "init"),
    [("wide / narrow != 2", "wide=4"), ("not 10 < wide * narrow < 16", "wide=6")],
)
def test_numbers_are_tried_in_a_condition_until_it_passes(load: Load, condition: str, init: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self, wide=2, narrow=2):
            super().__init__()
            if {condition}:
                raise ValueError("these two do not fit")
            self.lin = nn.Linear(wide, narrow)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == f"Net({init})"


def test_a_registry_that_does_not_know_a_model_is_asked_for_a_common_one(load: Load) -> None:
    text = """
    def create(name):
        if name != "resnet18":
            raise RuntimeError(f"Unknown model ({name})")
        return nn.Linear(8, 8)


    class Net(nn.Module):
        def __init__(self, name: str):
            super().__init__()
            self.model = create(name)

        def forward(self, x):
            return self.model(x)
    """
    assert _built(load, text, "Net") == "Net(name='resnet18')"


def test_a_width_that_is_called_after_the_model_is_no_model(load: Load) -> None:
    text = """
    class Layer(nn.Module):
        def __init__(self, d_model):
            super().__init__()
            self.lin = nn.Linear(d_model, d_model)

        def forward(self, x):
            return self.lin(x)


    class Net(nn.Module):
        def __init__(self, d_model, tgt_len=None, mem_len=None):
            super().__init__()
            self.layer, self.longest = Layer(d_model), tgt_len + mem_len

        def forward(self, x):
            return self.layer(x)
    """
    assert _built(load, text, "Net") == "Net(d_model=64, tgt_len=64, mem_len=64)"
