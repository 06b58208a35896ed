"""A configuration is made small without losing what its parts have to agree on."""

from __future__ import annotations

from typing import Any, ClassVar

from model_files import Load

from gradflow.capture.guess.search import Deadline, Found, find
from gradflow.capture.guess.shrunk import shrunk
from gradflow.capture.guess.target import subjects_of


class Config:
    """As the configurations of transformers: sizes as attributes, others inside."""

    def __init__(self, **sizes: Any) -> None:
        self.__dict__.update({"hidden_size": 2048, "num_attention_heads": 16, "num_hidden_layers": 24, **sizes})

    @property
    def head_dim(self) -> int:
        return int(self.hidden_size // self.num_attention_heads)


class Text(Config):
    model_type = "text"

    def to_dict(self) -> dict[str, Any]:
        return vars(self)


class AutoConfig:
    pass


class Whole(Config):
    sub_configs: ClassVar[dict[str, type]] = {"text_config": AutoConfig, "vision_config": Text}


def test_what_is_computed_from_other_sizes_is_not_set() -> None:
    assert next(shrunk(Config())) == {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}


def test_heads_keep_their_width_where_sections_of_it_may_be_given() -> None:
    tried = list(shrunk(Config()))
    assert {"hidden_size": 512, "num_attention_heads": 4, "num_hidden_layers": 2} in tried
    assert {} in tried


def test_a_part_that_may_be_of_any_class_says_of_which_it_is() -> None:
    small = next(shrunk(Whole(text_config=Text(), vision_config=Text())))
    assert small["text_config"]["model_type"] == "text"
    assert "model_type" not in small["vision_config"]


def test_a_field_that_is_unset_is_set_where_what_was_read_from_it_fails(load: Load) -> None:
    text = "class NetConfig:\n    def __init__(self, hidden_size=64, head_dim=None):\n"
    text += "        self.hidden_size, self.head_dim = hidden_size, head_dim\n\nclass Net(nn.Module):\n"
    text += "    def __init__(self, config: NetConfig):\n        super().__init__()\n"
    text += "        self.head_dim = getattr(config, 'head_dim', 8)\n        self.scale = self.head_dim ** -0.5\n"
    text += "        self.lin = nn.Linear(config.hidden_size, self.head_dim)\n\n"
    text += "    def forward(self, x):\n        return self.lin(x) * self.scale\n"
    found = find(subjects_of(load(text))[0], Deadline(10))
    assert isinstance(found, Found)
    assert "head_dim=16" in found.construction.text


CONFIGURED = """
class TextConfig:
    def __init__(self, width=64, head_dim=None, vocab_size=None):
        self.width, self.head_dim, self.vocab_size = width, head_dim, vocab_size


class NetConfig:
    def __init__(self, text_config=None):
        self.text_config = TextConfig(**(text_config or {}))

"""


def test_a_field_that_is_refused_where_it_is_none_is_set(load: Load) -> None:
    text = (
        CONFIGURED
        + """
class Net(nn.Module):
    def __init__(self, config: NetConfig):
        super().__init__()
        if config.text_config.vocab_size is None:
            raise ValueError("this head cannot be made from such a configuration")
        self.embed = nn.Embedding(config.text_config.vocab_size, config.text_config.width)

    def forward(self, x):
        return self.embed(x)
"""
    )
    assert "text_config={'vocab_size': 128}" in _built(load, text)


def test_a_field_that_is_unset_is_set_where_the_configuration_was_copied(load: Load) -> None:
    text = (
        "import copy\n\n"
        + CONFIGURED
        + """
class Net(nn.Module):
    def __init__(self, config: NetConfig):
        super().__init__()
        self.layer = Layer(copy.deepcopy(config.text_config))

    def forward(self, x):
        return self.layer(x)


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.size = getattr(config, "head_dim", 8)
        self.scale = self.size ** -0.5
        self.lin = nn.Linear(config.width, self.size)

    def forward(self, x):
        return self.lin(x) * self.scale
"""
    )
    assert "text_config={'head_dim': 16}" in _built(load, text)


def _built(load: Load, text: str) -> str:
    found = find(next(subject for subject in subjects_of(load(text)) if subject.name == "Net"), Deadline(10))
    assert isinstance(found, Found), found
    return found.construction.text


def test_a_number_of_layers_beside_several_depths_is_left_as_it_is() -> None:
    assert next(shrunk(Config(depths=[3, 3, 9]))) == {"hidden_size": 64, "num_attention_heads": 4}


def test_a_field_that_a_configuration_lacks_is_given(load: Load) -> None:
    text = """
class NetConfig:
    def __init__(self, width=64, **more):
        self.width = width
        self.__dict__.update(more)


class Net(nn.Module):
    def __init__(self, config: NetConfig):
        super().__init__()
        self.lin = nn.Linear(config.width, config.shared_expert_size * config.rank_of_it)

    def forward(self, x):
        return self.lin(x)
"""
    assert "rank_of_it=2" in _built(load, text)


def test_experts_that_are_few_are_one_group() -> None:
    assert next(shrunk(Config(n_routed_experts=64, n_group=8, topk_group=4)))["n_group"] == 1
