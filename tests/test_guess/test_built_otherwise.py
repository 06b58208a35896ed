"""What an error tells of a model that another needs, and models that can be built but not called as they are."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from model_files import Load

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.mend_init import lengths
from gradflow.capture.guess.search import Deadline, Found, Missed, find
from gradflow.capture.guess.subject import Construction, Subject
from gradflow.capture.guess.target import subjects_of


def _found(load: Load, text: str, name: str = "Net") -> Found:
    found = find(next(subject for subject in subjects_of(load(text)) if subject.name == name), Deadline(20))
    assert isinstance(found, Found), found
    return found


def _built(load: Load, text: str, name: str = "Net") -> str:
    return _found(load, text, name).construction.text


def test_two_widths_of_a_model_that_have_to_be_equal_are_made_so_once_a_call_tells(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, width=16, context_width=24):
            super().__init__()
            self.inner, self.outer = nn.Linear(8, width), nn.Linear(context_width, 2)

        def forward(self, x):
            return self.outer(self.inner(x))
    """
    assert _built(load, text) == "Net(context_width=16)"


def test_a_width_that_is_added_to_another_is_what_lacks(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, extra_channels=0):
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8 + extra_channels, 2)

        def forward(self, x):
            x = self.first(x)
            return self.second(torch.cat([x, x[..., :3]], -1))
    """
    assert _built(load, text) == "Net(extra_channels=3)"


def test_a_model_around_another_is_built_around_the_next_where_the_call_of_that_one_fails(load: Load) -> None:
    text = """
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(8, 8)

        def forward(self, x):
            return self.lin(x)


    class Guided(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(8, 8)

        def forward(self, x, guide):
            return self.lin(x) + guide


    class Net(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model, self.lin = model, nn.Linear(8, 8)

        def forward(self, x):
            return self.model(self.lin(x), x)
    """
    assert _built(load, text) == "Net(model=Guided())"


def test_a_model_that_is_read_for_a_field_is_one_that_stores_it(load: Load) -> None:
    text = """
    class Short(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(8, 8)

        def forward(self, x):
            return self.lin(x)


    class Long(nn.Module):
        def __init__(self, max_length=16):
            super().__init__()
            self.max_length, self.lin = max_length, nn.Linear(8, 8)

        def forward(self, x):
            return self.lin(x)


    class Net(nn.Module):
        def __init__(self, wrapped: nn.Module):
            super().__init__()
            self.wrapped, self.length = wrapped, wrapped.max_length

        def forward(self, x):
            return self.wrapped(x)
    """
    assert _built(load, text) == "Net(wrapped=Long())"


@pytest.mark.parametrize(
    "check",
    [
        "assert isinstance(student, (Small, Tiny)), 'no student'",
        "if not isinstance(student, Small):\n                raise TypeError('no student')",
    ],
)
def test_an_argument_is_of_the_class_that_the_constructor_asks_for(load: Load, check: str) -> None:
    text = f"""
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(8, 8)

        def forward(self, x):
            return self.lin(x)


    class Tiny(Small):
        pass


    class Net(nn.Module):
        def __init__(self, student):
            super().__init__()
            {check}
            self.student = student

        def forward(self, x):
            return self.student(x)
    """
    assert _built(load, text) == "Net(student=Small())"


def test_an_argument_is_of_the_plain_kind_that_the_constructor_asks_for(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, width, count=None):
            super().__init__()
            assert isinstance(width, tuple)
            self.lin = nn.Linear(*width)

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == "Net(width=(32, 32))"


def test_keywords_that_are_handed_on_are_what_the_class_behind_them_takes(load: Load) -> None:
    text = """
    class Inner(nn.Module):
        def __init__(self, *, levels: list[int], dim):
            super().__init__()
            self.lin = nn.Linear(dim, sum(levels))

        def forward(self, x):
            return self.lin(x)


    class Net(nn.Module):
        def __init__(self, *, dim, groups=1, **kwargs):
            super().__init__()
            self.parts = nn.ModuleList(Inner(dim=dim // groups, **kwargs) for _ in range(groups))

        def forward(self, x):
            return sum(part(x) for part in self.parts)
    """
    assert _built(load, text) == "Net(dim=64, levels=[64, 64])"


def test_a_keyword_that_is_handed_on_is_changed_where_the_class_behind_complains_of_it(load: Load) -> None:
    text = """
    class Inner(nn.Module):
        def __init__(self, *, sides, dim):
            super().__init__()
            self.lin = nn.Linear(dim, len(sides))

        def forward(self, x):
            return self.lin(x)


    class Net(nn.Module):
        def __init__(self, *, dim, **kwargs):
            super().__init__()
            self.part = Inner(dim=dim, **kwargs)

        def forward(self, x):
            return self.part(x)
    """
    assert _built(load, text).startswith("Net(dim=64, sides=(")


def test_an_argument_that_a_method_reads_from_the_model_is_changed(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, base, sides):
            super().__init__()
            self.base, self.sides = base, sides
            self.first = self.make()

        def make(self):
            return nn.Conv2d(3, 4, self.sides[0])

        def forward(self, x):
            return self.first(x)
    """
    assert _built(load, text) == "Net(base=2, sides=(2, 2))"


def test_a_list_that_is_too_long_loses_its_last_entries_or_its_first() -> None:
    construction = Construction("Net", (("spatial_dims", "2"), ("input_shape", "(3, 32, 32)")))
    failure = Failure(ValueError("length of input_shape must match spatial_dims, got (3, 32, 32)"), ())
    subject = Subject("Net", object, {})
    shapes = [other.given()["input_shape"] for other in lengths.mend(construction, failure, subject)]
    assert shapes[:2] == ["(3, 32)", "(32, 32)"]


def test_a_field_with_an_entry_for_each_layer_is_written_for_every_layer(load: Load) -> None:
    text = """
    class Config:
        def __init__(self, num_layers=3, kinds=None):
            self.num_layers, self.kinds = num_layers, kinds


    class Layer(nn.Module):
        def __init__(self, config, number):
            super().__init__()
            self.is_wide = config.kinds[number] == "wide"
            self.lin = nn.Linear(8, 8)

        def forward(self, x):
            return self.lin(x)


    class Net(nn.Module):
        def __init__(self, config: Config):
            super().__init__()
            self.layers = nn.ModuleList(Layer(config, number) for number in range(config.num_layers))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x
    """
    assert "['wide', 'wide'" in _built(load, text)


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (
            "for f, g in self.blocks:\n                x = x + g(f(x))",
            "[(nn.Linear(64, 64), nn.Linear(64, 64)), (nn.Linear(64, 64), nn.Linear(64, 64))]",
        ),
        ("x = self.blocks(x)", "nn.Linear(64, 64)"),
    ],
)
def test_what_a_call_takes_for_a_layer_is_one(load: Load, loop: str, expected: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self, blocks):
            super().__init__()
            self.blocks, self.first = [(blocks, blocks)] if isinstance(blocks, int) and {"for" in loop} else blocks, nn.Linear(64, 64)
            self.kept = nn.ModuleList(f for f, _ in self.blocks) if isinstance(blocks, list) else blocks

        def forward(self, x):
            x = self.first(x)
            {loop}
            return x
    """
    assert _built(load, text) == f"Net(blocks={expected})"


def test_an_argument_that_is_a_list_of_models_gets_two(load: Load) -> None:
    text = """
    from typing import List

    class Adapter(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(8, 8)

        def forward(self, x):
            return self.lin(x)


    class Net(nn.Module):
        def __init__(self, adapters: List[Adapter]):
            super().__init__()
            self.adapters = nn.ModuleList(adapters)

        def forward(self, x):
            return sum(adapter(x) for adapter in self.adapters)
    """
    assert _built(load, text) == "Net(adapters=[Adapter(), Adapter()])"


def test_what_is_split_into_parts_is_as_wide_as_they_are_together(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, hidden_size=64, heads=4, parts=(2, 2, 4)):
            super().__init__()
            self.parts, self.heads, self.lin = parts, heads, nn.Linear(8, hidden_size)

        def forward(self, x):
            x = self.lin(x).unflatten(-1, (self.heads, -1))
            return torch.cat([part.sin() for part in x.split(list(self.parts), -1)], -1)
    """
    assert _built(load, text) == "Net(hidden_size=32)"


def test_an_argument_is_what_the_class_compares_it_with(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, variant):
            super().__init__()
            self.lin = nn.Linear(8, 8)
            self.kind = self.chosen(variant)

        def chosen(self, variant):
            if variant == "tall":
                return 1
            raise ValueError("no such variant")

        def forward(self, x):
            return self.lin(x)
    """
    assert _built(load, text) == "Net(variant='tall')"


def test_of_two_ways_to_configure_a_model_one_is_left_out(load: Load) -> None:
    text = """
    SIZES = {"small": (2, 8), "large": (4, 16)}


    class Net(nn.Module):
        def __init__(self, config):
            super().__init__()
            named = config.kind is not None
            sized = all([config.n_layer is not None, config.n_embd is not None])
            assert named ^ sized
            if named:
                config.n_layer, config.n_embd = SIZES[config.kind]
            self.lin = nn.Linear(config.n_embd, config.n_embd)
            self.is_small = config.kind == "small"

        def forward(self, x):
            return self.lin(x)
    """
    assert "kind=None" in _built(load, text)


def test_a_model_of_a_module_beside_the_file_that_it_imports_a_function_from_is_found(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = """
    import torch


    class Transformer(torch.nn.Module):
        def __init__(self, width=8):
            super().__init__()
            self.d_model, self.lin = width, torch.nn.Linear(width, width)

        def forward(self, x):
            return self.lin(x)


    def build_transformer(args):
        return Transformer(args.width)
    """
    (tmp_path / "its_transformer.py").write_text(textwrap.dedent(beside))
    monkeypatch.syspath_prepend(str(tmp_path))
    text = """
    from its_transformer import build_transformer


    class Net(nn.Module):
        def __init__(self, transformer):
            super().__init__()
            self.transformer, self.head = transformer, nn.Linear(transformer.d_model, 2)

        def forward(self, x):
            return self.head(self.transformer(x))
    """
    assert _built(load, text) == "Net(transformer=Transformer())"


def test_what_a_class_behind_needs_and_was_not_handed_is_given_by_its_prefix(load: Load) -> None:
    text = """
    class Part(nn.Module):
        def __init__(self, *, dim, depth, num_tokens=None):
            super().__init__()
            self.emb = nn.Embedding(num_tokens, dim)
            self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))

        def forward(self, x):
            x = self.emb(x)
            for layer in self.layers:
                x = layer(x)
            return x


    class Net(nn.Module):
        def __init__(self, *, dim, **kwargs):
            super().__init__()
            enc_kwargs = {name.removeprefix("enc_"): value for name, value in kwargs.items() if name.startswith("enc_")}
            self.encoder = Part(dim=dim, **enc_kwargs)

        def forward(self, x):
            return self.encoder(x)
    """
    assert _built(load, text) == "Net(dim=64, enc_depth=2, enc_num_tokens=128)"


def test_a_width_that_only_the_call_finds_indivisible_becomes_a_multiple(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, width, heads=6):
            super().__init__()
            self.lin, self.heads = nn.Linear(8, width), heads

        def forward(self, x):
            x = self.lin(x)
            if x.shape[-1] % self.heads:
                raise ValueError(f"can't divide axis of length {x.shape[-1]} in chunks of {self.heads}")
            return x
    """
    assert _built(load, text) == "Net(width=36)"


def test_keys_that_are_taken_out_of_keywords_handed_on_by_prefix_are_given(load: Load) -> None:
    text = """
    def pick(names, options):
        return {name: options.pop(name) for name in names}


    class Net(nn.Module):
        def __init__(self, *, dim, **kwargs):
            super().__init__()
            enc_kwargs = {name.removeprefix("enc_"): value for name, value in kwargs.items() if name.startswith("enc_")}
            dec_kwargs = {name.removeprefix("dec_"): value for name, value in kwargs.items() if name.startswith("dec_")}
            enc_sizes = pick(["num_tokens", "max_seq_len"], enc_kwargs)
            dec_sizes = pick(["num_tokens", "max_seq_len"], dec_kwargs)
            self.encoder = nn.Embedding(enc_sizes["num_tokens"], dim)
            self.decoder = nn.Linear(dim, dec_sizes["num_tokens"])

        def forward(self, x):
            return self.decoder(self.encoder(x))
    """
    assert _built(load, text) == "Net(dim=64, enc_num_tokens=128, enc_max_seq_len=64, dec_num_tokens=128, dec_max_seq_len=64)"


def test_a_width_of_one_part_of_a_configuration_follows_what_another_was_made(load: Load) -> None:
    text = """
    class PartConfig:
        def __init__(self, hidden_size=256, projection_dim=256):
            self.hidden_size, self.projection_dim = hidden_size, projection_dim

        def to_dict(self):
            return vars(self)


    class NetConfig(PartConfig):
        def __init__(self, text_config=None):
            self.text_config = PartConfig(**(text_config or {}))


    class Net(nn.Module):
        def __init__(self, config: NetConfig):
            super().__init__()
            self.config = config
            self.first = nn.Linear(8, config.text_config.projection_dim)
            self.second = nn.Linear(config.text_config.hidden_size, 2)

        def forward(self, x):
            return self.second(self.first(x))
    """
    assert _built(load, text) == "Net(config=NetConfig(text_config={'hidden_size': 64, 'projection_dim': 64}))"


def test_a_model_is_left_once_no_input_changes_the_sizes_that_do_not_fit(load: Load) -> None:
    text = """
    CALLS = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(8, 24), nn.Linear(16, 2)

        def forward(self, x, y):
            CALLS.append(x)
            return self.second(self.first(x) + y.mean())
    """
    module = load(textwrap.dedent(text))
    assert isinstance(find(subjects_of(module)[0], Deadline(20)), Missed)
    assert len(module.CALLS) < 40


def test_what_stands_between_two_layers_may_hand_on_what_it_is_given(load: Load) -> None:
    text = """
    class WholeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(3, 3, 1)

        def forward(self, x):
            raise ValueError("only for volumes")


    class Net(nn.Module):
        def __init__(self, transformer):
            super().__init__()
            self.first, self.transformer, self.last = nn.Linear(24, 48), transformer, nn.Linear(48, 2)

        def forward(self, x):
            return self.last(self.transformer(self.first(x)))
    """
    assert _built(load, text) == "Net(transformer=nn.Identity())"


@pytest.mark.parametrize(
    ("arguments", "call", "init"),
    [
        ("first_function, last_function, width=8", "return self.last_function(self.lin(x))", "first_function=2, last_function=nn.ReLU()"),
        ("outputs", "return [self.lin(x) for level in range(3) if level in list(self.outputs)]", "outputs=(2, 2)"),
    ],
)
def test_what_only_the_call_finds_to_be_no_number_is_what_it_is_used_as(load: Load, arguments: str, call: str, init: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self, {arguments}):
            super().__init__()
            self.lin = nn.Linear(8, 8)
            for name, value in list(locals().items()):
                setattr(self, name, value) if name != "self" and name != "__class__" else None

        def forward(self, x):
            {call}
    """
    assert _built(load, text) == f"Net({init})"


def test_a_list_has_as_many_entries_as_are_asked_for_by_number(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, spread):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, spread[5]), nn.Linear(4, spread[0])])

        def forward(self, x):
            return [layer(x) for layer in self.layers]
    """
    assert _built(load, text) == "Net(spread=(2, 2, 2, 2, 2, 2))"
