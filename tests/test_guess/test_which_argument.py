"""Which of several arguments an error speaks of, and what it is changed to."""

from __future__ import annotations

from model_files import Load

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.mend_call import mended
from gradflow.capture.guess.search import Deadline, Found, find, try_call
from gradflow.capture.guess.sizes import Sizes, sizes_of
from gradflow.capture.guess.subject import Construction
from gradflow.capture.guess.target import subjects_of


def _net(load: Load, layers: str, arguments: str, forward: str) -> str:
    body = forward.strip().replace("\n", "\n        ")
    return (
        f"class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        {layers}\n\n"
        f"    def forward(self, {arguments}):\n        {body}\n"
    )


def _called(load: Load, layers: str, arguments: str, forward: str) -> str:
    found = find(subjects_of(load(_net(load, layers, arguments, forward)))[0], Deadline(20))
    assert isinstance(found, Found), found
    return found.call.text


def _failed(load: Load, layers: str, arguments: str, forward: str, call: Call) -> tuple[Failure, Sizes, object]:
    model = vars(load(_net(load, layers, arguments, forward)))["Net"]()
    failure = try_call(model, call, 5.0)
    assert failure is not None
    return failure, sizes_of(model, Construction("Net")), model


TWO = Call((("a", "float32[2,16,64]"), ("b", "float32[2,16,64]")))


def test_of_two_arguments_of_one_shape_the_one_that_the_failing_line_names_is_changed_first(load: Load) -> None:
    layers = "self.one, self.two = nn.Linear(64, 8), nn.Linear(32, 8)"
    failure, sizes, model = _failed(load, layers, "a, b", "a = self.one(a)\nb = self.two(b)\nreturn a + b", TWO)
    assert next(mended(TWO, failure, model, sizes)).text == "a=float32[2,16,64], b=float32[2,16,32]"  # type: ignore[arg-type]


def test_an_argument_is_found_behind_what_was_computed_from_it(load: Load) -> None:
    layers = "self.one, self.two = nn.Linear(64, 8), nn.Linear(512, 8)"
    forward = "a = self.one(a)\nwide = b.flatten(1)\ntimes = wide * 1\nb = self.two(times)\nreturn a + b[:, None]"
    failure, sizes, model = _failed(load, layers, "a, b", forward, TWO)
    calls = [call.given() for call in mended(TWO, failure, model, sizes)]  # type: ignore[arg-type]
    changed = [next(name for name, text in call.items() if text != "float32[2,16,64]") for call in calls]
    assert changed[0] == "b"


def test_what_each_rule_is_surest_of_comes_before_what_one_rule_would_try_next(load: Load) -> None:
    layers = "self.lin = nn.Linear(64, 8); self.places = nn.Parameter(torch.zeros(1, 81, 64))"
    forward = "x = torch.cat([a, b, a[:, :4]], 1)\nreturn self.lin(x + self.places)"
    failure, sizes, model = _failed(load, layers, "a, b", forward, TWO)
    places = [call.text for call in mended(TWO, failure, model, sizes)].index("a=float32[2,61,64], b=float32[2,16,64]")  # type: ignore[arg-type]
    assert places < 8


def test_two_arguments_that_are_put_together_get_the_same_sizes(load: Load) -> None:
    layers = "self.conv = nn.Conv3d(8, 4, 1)"
    forward = "b, c, f, h, w = clip.shape\nwhole = torch.cat([clip, noisy_copy], 1)\nreturn self.conv(whole.float())"
    called = _called(load, layers, "clip, noisy_copy", forward)
    assert called == "clip=float32[2,4,4,32,32], noisy_copy=float32[2,4,4,32,32]"


def test_an_assertion_is_read_by_the_values_of_its_names(load: Load) -> None:
    layers = "self.lin = nn.Linear(1, 4); self.heads, self.axis = 3, -1"
    forward = "sizes, axis = x.shape, self.axis\nassert sizes[axis] == self.heads * 7\nreturn self.lin(x.mean(-1, keepdim=True))"
    assert _called(load, layers, "x", forward).endswith(",21]")


def test_a_picture_becomes_larger_on_both_sides(load: Load) -> None:
    layers = "self.conv = nn.Conv2d(3, 3, 1)"
    forward = "return torch.cat([self.conv(low).repeat_interleave(2, 2).repeat_interleave(2, 3), high], 1)"
    assert _called(load, layers, "low, high", forward) == "low=float32[2,3,32,32], high=float32[2,3,64,64]"


def test_a_norm_of_the_users_own_tells_the_width(load: Load) -> None:
    text = """
    class PlainNorm(nn.Module):
        def __init__(self, dim=24):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(dim))

        def forward(self, x):
            return x * self.weight


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.norm = nn.Linear(64, 24), PlainNorm()

        def forward(self, hidden_states, encoder_hidden_states):
            return self.lin(hidden_states) + self.norm(encoder_hidden_states)
    """
    found = find(next(subject for subject in subjects_of(load(text)) if subject.name == "Net"), Deadline(20))
    assert isinstance(found, Found), found
    assert (found.call.rule, found.call.given()["encoder_hidden_states"]) == ("what its code reads from the arguments", "float32[2,16,24]")


def test_shapes_of_pictures_are_given_as_tuples(load: Load) -> None:
    layers = "self.lin = nn.Linear(8, 8)"
    forward = "assert sum(f * h * w for f, h, w in shapes[:1]) == x.shape[1]\nreturn self.lin(x)"
    assert _called(load, layers, "x, shapes: list[tuple[int, int, int]]", forward).endswith("shapes=[(1, 4, 4), (1, 4, 4)]")


def test_the_parts_of_a_list_are_what_the_failing_layer_takes(load: Load) -> None:
    layers = "self.conv = nn.Conv2d(5, 4, 3)"
    forward = "assert isinstance(features, list)\nreturn self.conv(features[-1])"
    assert "float32[16,5,32,32]" in _called(load, layers, "features: list[torch.Tensor]", forward)


def test_a_list_that_is_too_short_grows(load: Load) -> None:
    layers = "self.lin = nn.Linear(64, 4)"
    forward = "return self.lin(hidden_states[0]) + hidden_states[2].mean()"
    called = _called(load, layers, "hidden_states: list[torch.Tensor]", forward)
    assert called.count("float32[") == 3


def test_whole_numbers_become_floating_where_a_norm_meets_them(load: Load) -> None:
    layers = "self.norm = nn.LayerNorm(2); self.emb = nn.Embedding(9, 2)"
    forward = "return self.emb(x_categ).mean(1) + self.norm(x_cont)"
    assert "x_cont=float32[" in _called(load, layers, "x_categ: torch.LongTensor, x_cont: torch.LongTensor", forward)


def test_channels_of_arguments_of_different_sides_are_changed_together(load: Load) -> None:
    layers = "self.norm = nn.BatchNorm2d(4)"
    forward = "return self.norm(torch.cat([low.repeat_interleave(2, 2).repeat_interleave(2, 3), high], 1))"
    assert _called(load, layers, "low, high", forward).count("[2,2,") == 2


def test_a_padding_that_mirrors_more_than_there_is_tells_how_long_the_input_has_to_be(load: Load) -> None:
    layers = "self.conv = nn.Conv1d(1, 4, 3)"
    forward = "return self.conv(nn.functional.pad(x[:, None], (96, 96), mode='reflect'))"
    assert _called(load, layers, "x", forward) == "x=float32[2,384]"


def test_a_number_is_one_of_those_that_the_message_lists(load: Load) -> None:
    layers = "self.conv = nn.Conv2d(3, 4, 3)"
    forward = "if scale not in (2, 4):\n    raise ValueError(f'no such scale; available scales: {[2, 4]}')\nreturn self.conv(x)"
    assert _called(load, layers, "x, scale: int", forward) == "x=float32[2,3,32,32], scale=2"


def test_a_shape_that_a_message_expects_is_given(load: Load) -> None:
    layers = "self.conv = nn.Conv2d(3, 4, 3)"
    message = "shape mismatch: expected (2, 3, 40, 40), got {list(x.shape)}."
    forward = f"if x.shape[2:] != (40, 40):\n    raise ValueError(f'{message}')\nreturn self.conv(x)"
    assert _called(load, layers, "x", forward) == "x=float32[2,3,40,40]"


def test_an_argument_is_known_where_it_goes_by_another_name(load: Load) -> None:
    layers = "self.one, self.two = nn.Linear(64, 8), nn.Linear(32, 8); self.both = lambda x, y: self.one(x) + self.two(y)"
    failure, sizes, model = _failed(load, layers, "a, b", "return self.both(a, b)", TWO)
    assert next(mended(TWO, failure, model, sizes)).text == "a=float32[2,16,64], b=float32[2,16,32]"  # type: ignore[arg-type]
