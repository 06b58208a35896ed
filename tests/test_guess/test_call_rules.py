"""What a built model is called with: one small file of real shape for each rule."""

from __future__ import annotations

import pytest
import torch
from model_files import Load

from gradflow.capture.guess.attempt import Failure, TooSlow
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.mend_call import slow as slow_rule
from gradflow.capture.guess.search import Deadline, Found, Missed, find
from gradflow.capture.guess.sizes import sizes_of
from gradflow.capture.guess.subject import Construction
from gradflow.capture.guess.target import subjects_of


def _found(load: Load, text: str) -> Found | Missed:
    return find(subjects_of(load(text))[0], Deadline(20))


def _called(load: Load, forward: str, layers: str = "self.lin = nn.Linear(64, 4)", arguments: str = "x", more: str = "") -> str:
    """The inputs found for a class with these layers and this forward."""
    body = forward.strip().replace("\n", "\n        ")
    text = f"class Net(nn.Module):\n    def __init__(self{more}):\n        super().__init__()\n        {layers}\n\n"
    found = _found(load, f"{text}    def forward(self, {arguments}):\n        {body}\n")
    assert isinstance(found, Found), found
    return found.call.text


def test_the_layers_of_a_condition_do_not_tell_what_the_main_input_is(load: Load) -> None:
    layers = "self.time_mlp = nn.Linear(16, 3); self.conv = nn.Conv2d(3, 4, 3)"
    forward = "temb = self.time_mlp(t[:, None].float().repeat(1, 16))\nreturn self.conv(x + temb[:, :, None, None])"
    assert _called(load, forward, layers, "x, t") == "x=float32[2,3,32,32], t=int64[2]<10"


def test_a_forecaster_is_given_past_and_future_values_with_their_marks(load: Load) -> None:
    layers = "self.emb, self.dec = nn.Linear(enc_in, 8), nn.Linear(enc_in, 8); self.pred_len = pred_len"
    forward = "assert x_dec.shape[1] == 32 + self.pred_len and x_mark_enc.shape[2] == 4\nreturn self.emb(x_enc).mean(1), self.dec(x_dec)"
    called = _called(load, forward, layers, "x_enc, x_mark_enc, x_dec, x_mark_dec", ", enc_in, seq_len, label_len, pred_len")
    assert called == (
        "x_enc=float32[2,64,7], x_mark_enc=float32[2,64,4]==1, x_dec=float32[2,96,7], x_mark_dec=float32[2,96,4]==1"
    )  # fmt: skip


def test_one_number_for_each_of_the_batch_becomes_what_a_layer_takes_for_each(load: Load) -> None:
    layers = "self.emb, self.lin = nn.Linear(10, 64), nn.Linear(64, 4)"
    assert _called(load, "return self.lin(x) + self.lin(self.emb(labels.float()))", layers, "x, labels") == (
        "x=float32[2,64], labels=float32[2,10]"
    )


def test_a_picture_that_is_too_small_becomes_a_larger_square(load: Load) -> None:
    layers = "self.conv, self.lin = nn.Conv2d(3, 8, 4, 4), nn.Linear(8 * 10 * 10, 4)"
    assert _called(load, "return self.lin(self.conv(x).flatten(1))", layers) == "x=float32[2,3,40,40]"


def test_masks_that_do_not_fit_are_left_away(load: Load) -> None:
    layers = "self.att = nn.MultiheadAttention(64, 4)"
    forward = "return self.att(src, src, src, key_padding_mask=src_padding_mask)[0]"
    assert _called(load, forward, layers, "src, src_padding_mask") == "src=float32[2,16,64], src_padding_mask=None"


@pytest.mark.parametrize(
    ("forward", "called"),
    [
        ("assert x.shape[-1] == 6, 'wrong'\nreturn self.lin(x.repeat(1, 11)[:, :64])", "x=float32[2,6]"),
        ("a, b = torch.split(x, [3, 5], -1)\nreturn self.lin(torch.cat([a, b], -1).repeat(1, 8))", "x=float32[2,8]"),
        ("b, t, c = x.shape\nreturn self.lin(x)", "x=float32[2,16,64]"),
        ("assert x.shape[2] == x.shape[2]\nreturn self.lin(x)", "x=float32[2,16,64]"),
    ],
)
def test_a_size_that_the_failing_line_names_is_taken(load: Load, forward: str, called: str) -> None:
    assert _called(load, forward) == called


def test_a_picture_has_the_two_sides_that_a_message_names(load: Load) -> None:
    forward = "assert x.shape[2:] == (16, 8), f'expected (16, 8) but got {tuple(x.shape[2:])}'\nreturn self.conv(x)"
    assert _called(load, forward, "self.conv = nn.Conv2d(3, 4, 3)") == "x=float32[2,3,16,8]"


def test_a_layer_behind_a_transposition_tells_what_stands_before_it(load: Load) -> None:
    assert _called(load, "return self.conv(x.transpose(1, 2))", "self.conv = nn.Conv1d(7, 4, 3)") == "x=float32[2,64,7]"


def test_an_index_is_whole_and_below_the_number_of_classes(load: Load) -> None:
    forward = "b, h, w = x.shape\nreturn nn.functional.one_hot(x, 5).float() @ self.lin.weight[:, :5].T"
    assert _called(load, forward).endswith("<2")


def test_features_behind_a_flattening_tell_the_size_of_the_picture(load: Load) -> None:
    layers = "self.conv, self.lin = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * 28 * 28, 10)"
    assert _called(load, "return self.lin(self.conv(x).flatten(1))", layers) == "x=float32[2,1,28,28]"


def test_a_graph_has_nodes_and_edges_between_them(load: Load) -> None:
    forward = "source, target = edge_index\nreturn self.lin(torch.zeros_like(x).index_add(0, target, x[source]))"
    assert _called(load, forward, arguments="x, edge_index") == "x=float32[8,64], edge_index=int64[2,12]<8"


def test_a_batch_of_a_graph_library_is_an_object_with_its_fields(load: Load) -> None:
    forward = "x, edge_index = data.x, data.edge_index\nreturn self.lin(x[edge_index[0]])"
    assert _called(load, forward, arguments="data").startswith("data=Data(x=float32[8,64], edge_index=int64[2,12]<8")


def test_a_model_that_detects_is_given_boxes_in_training(load: Load) -> None:
    forward = (
        "if self.training and targets is None:\n    raise ValueError('targets should not be none when in training mode')\n"
        "boxes = torch.stack([t['boxes'] for t in targets])\nreturn {'loss': self.conv(torch.stack(images)).mean() + boxes.mean()}"
    )
    called = _called(load, forward, "self.conv = nn.Conv2d(3, 4, 3)", "images: 'list[torch.Tensor]', targets=None")
    assert called.startswith("images=[float32[3,32,32], float32[3,32,32]], targets=[{'boxes': tensor(")


def test_an_optional_argument_that_is_needed_after_all_is_given(load: Load) -> None:
    layers = "self.enc, self.dec = nn.Embedding(50, 8), nn.Embedding(50, 8)"
    forward = "return self.enc(input_ids).mean() + self.dec(decoder_input_ids)"
    called = _called(load, forward, layers, "input_ids, decoder_input_ids=None")
    assert called == "input_ids=int64[2,16]<50, decoder_input_ids=int64[2,16]<50"


def test_free_keywords_are_never_given(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(64, 4)

        def forward(self, x, **kwargs):
            if kwargs:
                raise ValueError("unexpected kwargs")
            return self.lin(x.squeeze(7))
    """
    found = _found(load, text)
    assert isinstance(found, Missed)
    assert "kwargs" not in found.why


def test_the_call_that_gets_furthest_is_mended_first(load: Load) -> None:
    layers = "self.a, self.b, self.c = nn.Linear(5, 6), nn.Linear(7, 8), nn.Linear(9, 10)"
    forward = "return self.a(one).sum() + self.b(two).sum() + self.c(three).sum()"
    assert _called(load, forward, layers, "one, two, three") == "one=float32[2,5], two=float32[2,7], three=float32[2,9]"


def test_packed_sequences_have_as_many_lengths_as_sequences(load: Load) -> None:
    layers = "self.emb, self.rnn = nn.Embedding(50, 8), nn.LSTM(8, 8)"
    forward = "packed = nn.utils.rnn.pack_padded_sequence(self.emb(text), text_lengths)\nreturn self.rnn(packed)[0]"
    assert _called(load, forward, layers, "text, text_lengths") == "text=int64[16,2]<50, text_lengths=int64[2]==16"


def test_two_shapes_that_have_to_be_equal_are_made_so(load: Load) -> None:
    layers = "self.scale = nn.Parameter(torch.ones(()))"
    forward = "return nn.functional.binary_cross_entropy_with_logits(inputs * self.scale, targets.float())"
    called = _called(load, forward, layers, "inputs, targets")
    assert called in ("inputs=float32[2], targets=int64[2]<10", "inputs=float32[2,3,32,32], targets=float32[2,3,32,32]")


def test_a_volume_that_is_too_small_grows_in_all_three_directions(load: Load) -> None:
    forward = "x = self.conv(x)\nfor _ in range(4):\n    x = nn.functional.max_pool3d(x, 2)\nreturn x"
    assert _called(load, forward, "self.conv = nn.Conv3d(1, 2, 1)") == "x=float32[2,1,32,32,32]"


def test_a_generator_that_begins_with_a_transposed_convolution_is_given_single_points(load: Load) -> None:
    assert _called(load, "return self.up(z)", "self.up = nn.ConvTranspose2d(100, 8, 4, 1, 0)", "z") == "z=float32[2,100,1,1]"


def test_inputs_of_a_size_that_no_try_could_be_stopped_in_are_not_tried(load: Load) -> None:
    forward = "assert x.shape[0] == 10**9, 'expected a larger batch'\nreturn self.lin(x)"
    body = forward.replace("\n", "\n        ")
    text = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.lin = nn.Linear(64, 4)\n\n"
    assert isinstance(_found(load, f"{text}    def forward(self, x):\n        {body}\n"), Missed)


def test_a_keyword_that_is_looked_up_among_free_ones_is_given(load: Load) -> None:
    forward = "return self.lin(x) + kwargs['labels'].float()[:, None]"
    assert _called(load, forward, arguments="x, **kwargs") == "x=float32[2,64], labels=int64[2]<10"


def test_a_forecaster_of_past_values_alone_is_given_as_many_as_it_states(load: Load) -> None:
    layers = "self.lin = nn.Linear(configs.seq_len, 5); self.wide = configs.enc_in"
    forward = "assert x.shape[2] == self.wide\nreturn self.lin(x.transpose(1, 2))"
    assert _called(load, forward, layers, more=", configs") == "x=float32[2,64,7]"


def test_a_neck_is_given_one_map_for_each_of_its_widths(load: Load) -> None:
    layers = "self.lateral = nn.ModuleList([nn.Conv2d(width, 8, 1) for width in in_channels]); self.in_channels = in_channels"
    forward = "maps = [conv(feature) for conv, feature in zip(self.lateral, features)]\nup = nn.functional.interpolate\n"
    forward += "return maps[0] + up(maps[1], scale_factor=2)"
    called = _called(load, forward, layers, "features", ", in_channels=(6, 12)")
    assert called == "features=[float32[2,6,64,64], float32[2,12,32,32]]"


def test_a_size_is_solved_from_two_failures_that_differ_in_it(load: Load) -> None:
    layers = "self.lin = nn.Linear(74, 4)"  # 10 columns, and 16 for each of four
    forward = "extra = y[:, :, None].repeat(1, 1, 16).flatten(1)\nreturn self.lin(torch.cat([x[:, :1].repeat(1, 10), extra], 1))"
    called = _called(load, forward, layers, "x, y")
    assert called.split(", ")[1] == "y=int64[2,4]<10"


def test_an_input_grows_in_proportion_to_what_is_too_short(load: Load) -> None:
    forward = "short = x.shape[2] // 8\nif short < 40:\n    raise ValueError(f'length {short} is less than target length 40')\n"
    forward += "return self.conv(x)"
    assert _called(load, forward, "self.conv = nn.Conv1d(6, 4, 1)") == "x=float32[2,6,320]"


def test_the_test_above_a_raise_says_what_is_wanted(load: Load) -> None:
    forward = "if x.shape[-1] != 6:\n    raise ValueError('the last one is wrong')\nreturn self.lin(x.repeat(1, 11)[:, :64])"
    assert _called(load, forward) == "x=float32[2,6]"


def test_a_list_of_dimensions_in_a_message_is_followed(load: Load) -> None:
    forward = "if x.ndim != 5:\n    raise ValueError('wants shape (batch, 2, num_channels, height, width)')\nreturn self.conv(x[:, 0])"
    assert _called(load, forward, "self.conv = nn.Conv2d(3, 4, 3)") == "x=float32[2,2,3,32,32]"


def test_a_kernel_that_is_larger_than_what_is_left_tells_how_much_to_grow(load: Load) -> None:
    forward = "return nn.functional.avg_pool3d(self.conv(x), (2, 7, 7))"
    assert _called(load, forward, "self.conv = nn.Conv3d(1, 2, 1, stride=(8, 32, 32))") == "x=float32[2,1,16,224,224]"


def test_a_text_holds_as_many_image_tokens_as_a_picture_has_features(load: Load) -> None:
    layers = "self.words, self.conv, self.config = nn.Embedding(50, 8), nn.Conv2d(3, 8, 16, 16), Config()"
    forward = "features = self.conv(pixel_values).flatten(2).transpose(1, 2).flatten(0, 1)\nmask = input_ids == 7\nhave = int(mask.sum())\n"
    message = "Image features and image tokens do not match, tokens: {have}, features: {len(features)}"
    forward += f"if have != len(features):\n    raise ValueError(f'{message}')\n"
    forward += "text = self.words(input_ids)\ntext[mask] = features\nreturn text"
    layers = f"class Config:\n            image_token_id = 7\n        {layers}"
    called = _called(load, forward, layers, "input_ids, pixel_values")
    assert called == "input_ids=int64[2,4]==7, pixel_values=float32[2,3,32,32]"


def test_a_model_that_cannot_keep_a_cache_is_called_without_one(load: Load) -> None:
    forward = "if use_cache:\n    raise ValueError('this Cache holds no attention layers')\nreturn self.lin(x)"
    assert _called(load, forward, arguments="x, use_cache=True") == "x=float32[2,64], use_cache=False"


def test_an_axis_in_chunks_is_made_divisible(load: Load) -> None:
    forward = "if x.shape[2] % 14:\n    raise ValueError(f'cannot divide axis of length {x.shape[2]} in chunks of 14')\nreturn self.conv(x)"
    assert _called(load, forward, "self.conv = nn.Conv2d(3, 4, 3)").startswith("x=float32[2,3,")


def test_two_inputs_that_are_put_together_share_the_channels(load: Load) -> None:
    forward = "return self.conv(torch.cat([moving, fixed], 1))"
    called = _called(load, forward, "self.conv = nn.Conv2d(2, 4, 3)", "moving, fixed")
    assert called == "moving=float32[2,1,32,32], fixed=float32[2,1,32,32]"


def test_a_length_is_made_divisible_by_the_last_number_of_the_message_too(load: Load) -> None:
    forward = "if x.shape[1] % 48:\n    raise ValueError(f'Sequence length ({x.shape[1]}) needs to be divisible by bucket x 2 - 48')\n"
    assert _called(load, f"b, t, d = x.shape\n{forward}return self.lin(x)") == "x=float32[2,48,64]"


@pytest.mark.parametrize("shape", ["b, n = x.shape", "b, n, device = *x.shape, x.device", "n = x.size(1)", "b, n = x.size()"])
def test_a_size_that_a_variable_holds_is_the_one_that_it_is_compared_with(load: Load, shape: str) -> None:
    layers = "self.length = 24; self.emb = nn.Embedding(128, 4)"
    assert _called(load, f"{shape}\nassert n == self.length\nreturn self.emb(x)", layers) == "x=int64[2,24]<128"


def test_queries_keys_and_values_get_their_dimensions_together(load: Load) -> None:
    forward = "return torch.einsum('b h i d, b h j d -> b h i j', q, k) @ v * self.scale"
    called = _called(load, forward, "self.scale = nn.Parameter(torch.ones(()))", "q, k, v")
    assert called == "q=float32[2,3,32,32], k=float32[2,3,32,32], v=float32[2,3,32,32]"


def test_a_volume_whose_sides_do_not_divide_becomes_a_cube(load: Load) -> None:
    forward = "assert all(side % 32 == 0 for side in x.shape[2:]), f'{x.shape[2:]}: must be divisible by 2**5'\nreturn self.conv(x)"
    assert _called(load, forward, "self.conv = nn.Conv3d(3, 4, 3)") == "x=float32[2,3,32,32,32]"


def test_a_call_that_is_too_slow_gets_a_smaller_volume() -> None:
    slow = Failure(TooSlow(), ())
    sizes = sizes_of(torch.nn.Identity(), Construction("Net"))
    call = Call((("x", "float32[2,1,64,64,64]"), ("t", "int64[2]")))
    assert [mended.text for mended in slow_rule.mend(call, slow, torch.nn.Identity(), sizes)] == [
        "x=float32[2,1,32,32,32], t=int64[2]",
        "x=float32[1,1,64,64,64], t=int64[1]",
    ]


def test_several_sizes_that_are_compared_at_once_are_all_taken(load: Load) -> None:
    layers = "self.conv = nn.Conv3d(3, 4, 3); self.frames, self.side = 6, 12"
    forward = "assert x.shape[2:] == (self.frames, self.side, self.side)\nreturn self.conv(x)"
    assert _called(load, forward, layers) == "x=float32[2,3,6,12,12]"


def test_a_picture_that_has_to_be_twice_as_large_is(load: Load) -> None:
    forward = (
        "for one, two in zip(x.shape[2:], skip.shape[2:]):\n    assert two == 2 * one, 'skip has to be exactly the double of x'\n"
        "return self.conv(skip)"
    )
    assert _called(load, forward, "self.conv = nn.Conv2d(3, 4, 3)", "x, skip") == "x=float32[2,3,32,32], skip=float32[2,3,64,64]"


def test_a_layer_made_of_a_pattern_tells_how_many_dimensions_it_takes(load: Load) -> None:
    text = """
class Rearrange(nn.Module):
    def __init__(self, pattern):
        super().__init__()
        self.pattern = pattern

    def forward(self, x):
        return {3: x}[x.ndim].reshape(x.shape[0], x.shape[1], 4, -1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin, self.heads = nn.Linear(8, 8), Rearrange("b n (h d) -> b n h d")

    def forward(self, x):
        return self.heads(self.lin(x))
"""
    found = find(next(subject for subject in subjects_of(load(text)) if subject.name == "Net"), Deadline(20))
    assert isinstance(found, Found), found
    assert found.call.text == "x=float32[2,16,8]"


def test_what_a_detector_misses_in_its_targets_is_added(load: Load) -> None:
    forward = (
        "if self.training and targets is None:\n    raise ValueError('targets should not be none when in training mode')\n"
        "points = torch.stack([t['keypoints'] for t in targets])\nreturn {'loss': self.conv(torch.stack(images)).mean() + points.mean()}"
    )
    called = _called(load, forward, "self.conv = nn.Conv2d(3, 4, 3)", "images: 'list[torch.Tensor]', targets=None")
    assert called.startswith("images=[float32[3,32,32], float32[3,32,32]], targets=[{'boxes': tensor(")
    assert "'keypoints': tensor([[[5.0, 5.0, 1.0]," in called


def test_a_graph_gets_the_fields_that_it_lacks(load: Load) -> None:
    layers = "self.lin = nn.Linear(64, 4); self.add = lambda graph: graph.charge"
    called = _called(load, "return self.lin(data.x[data.edge_index[0]]) + self.add(data).sum()", layers, "data")
    assert called == "data=Data(x=float32[8,64], edge_index=int64[2,12]<8, batch=int64[8]<1, charge=float32[8,64])"


def test_two_pictures_that_are_too_small_grow_together(load: Load) -> None:
    forward = "assert first.shape == second.shape and first.shape[-1] > 99, 'at least 100'\nreturn self.conv(first - second)"
    assert (
        _called(load, forward, "self.conv = nn.Conv2d(3, 4, 3)", "first, second")
        == "first=float32[2,3,100,100], second=float32[2,3,100,100]"
    )


@pytest.mark.parametrize(
    "condition", ["assert x.ndim == 5 or x.ndim == 6", "assert x.dim() == 5", "if x.dim() != 5:\n    raise ValueError"]
)
def test_dimensions_are_as_many_as_a_condition_asks_for_that_fails_without_a_word(load: Load, condition: str) -> None:
    assert _called(load, f"{condition}\nreturn self.lin(x)") == "x=float32[2,3,4,32,64]"


def test_what_has_more_dimensions_than_tokens_have_holds_floating_numbers(load: Load) -> None:
    layers = "self.lin = nn.Linear(64, 4); self.inner = nn.Embedding(128, 64)"
    assert _called(load, "return self.lin(ids.permute(0, 2, 3, 1))", layers, "ids") == "ids=float32[2,64,32,32]"
