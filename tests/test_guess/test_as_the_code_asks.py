"""What the code does with an argument tells what it is: a target of a loss, a mask, several feature maps, a length of whole chunks."""

from __future__ import annotations

import ast
import os

import pytest
from model_files import Load

from gradflow.capture.guess.compared import compared_words
from gradflow.capture.guess.made import Made
from gradflow.capture.guess.ranking import rank_classes
from gradflow.capture.guess.search import Deadline, Found, build, find
from gradflow.capture.guess.target import subjects_of
from gradflow.capture.guess.usual import usual_value


def _found(load: Load, text: str) -> Found:
    found = find(subjects_of(load(text))[0], Deadline(20))
    assert isinstance(found, Found), found
    return found


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        ("nn.functional.cross_entropy(out, answer)", "int64[2]<4"),
        ("nn.functional.cross_entropy(out.repeat(1, 8).view(-1, 2), answer.flatten())", "int64[2,16]<2"),
        ("nn.functional.mse_loss(out.double(), answer)", "float32[2,4]"),
        ("nn.functional.binary_cross_entropy(out.sigmoid(), answer)", "float32[2,4]==1"),
    ],
)
def test_what_a_loss_compares_with_is_what_the_loss_takes(load: Load, loss: str, target: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lin = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

        def forward(self, photo, answer):
            out = self.lin(self.conv(photo).mean((2, 3)))
            return {loss}
    """
    assert _found(load, text).call.given()["answer"] == target


@pytest.mark.parametrize(
    ("layers", "mask"), [("nn.Conv1d(8, 8, 1)", "float32[2,1,64]==1"), ("nn.Conv2d(8, 8, 1)", "float32[2,1,32,32]==1")]
)
def test_a_mask_has_one_channel_of_what_it_masks(load: Load, layers: str, mask: str) -> None:
    text = f"""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = {layers}

        def forward(self, x, x_mask):
            assert x_mask.size(2) == x.size(2) and x_mask.size(1) == 1
            return self.conv(x * x_mask)
    """
    assert _found(load, text).call.given()["x_mask"] == mask


def test_what_is_cut_into_chunks_is_as_long_as_one(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, width=8, chunk=40):
            super().__init__()
            self.lin, self.chunk = nn.Linear(width, width), chunk

        def forward(self, x):
            chunks = x.shape[1] // self.chunk
            return torch.stack([self.lin(part) for part in x[:, : chunks * self.chunk].split(self.chunk, 1)[:chunks]])
    """
    assert _found(load, text).call.text == "x=float32[2,40,8]"


def test_feature_maps_may_be_unpacked_in_brackets(load: Load) -> None:
    text = """
    class Neck(nn.Module):
        def __init__(self, inplanes=(8, 16), planes=4):
            super().__init__()
            self.one, self.two = nn.Conv2d(inplanes[0], planes, 1), nn.Conv2d(inplanes[1], planes, 1)

        def forward(self, inputs):
            [c1, c2] = inputs
            return self.one(c1), self.two(c2)
    """
    assert _found(load, text).call.text == "inputs=[float32[2,8,64,64], float32[2,16,32,32]]"


def test_a_dict_of_layers_and_what_they_are_given_is_made_up(load: Load) -> None:
    text = """
    class Block(nn.Module):
        def __init__(self, width, props):
            super().__init__()
            props["conv_op_kwargs"]["stride"] = 1
            self.conv = props["conv_op"](width, width, 1, **props["conv_op_kwargs"])
            self.norm = props["norm_op"](width, **props["norm_op_kwargs"])
            self.drop = props["dropout_op"](**props["dropout_op_kwargs"]) if props["dropout_op_kwargs"]["p"] else nn.Identity()

        def forward(self, x):
            return self.drop(self.norm(self.conv(x)))
    """
    found = _found(load, text)
    assert [type(layer).__name__ for layer in found.model.children()] == ["Conv2d", "BatchNorm2d", "Identity"]


def test_a_made_up_configuration_writes_layers_down() -> None:
    made = Made()
    assert made.conv_op is not None and made["norm_op_kwargs"]["eps"] == 1e-5
    assert made.text() == "Made(conv_op=nn.Conv2d, norm_op_kwargs=Made(eps=1e-05))"


def test_of_several_words_that_a_field_is_compared_with_the_first_in_the_file_is_taken() -> None:
    text = "if cfg.task == 'forecast' or cfg.task == 'short':\n    pass\nif cfg.task == 'imputation':\n    pass\n"
    assert compared_words(ast.parse(text))["task"] == "forecast"


def test_what_is_only_called_model_is_called_after_its_file() -> None:
    tree = ast.parse("class Wave: pass\nclass Model:\n    def __init__(self): self.net = Wave()\n")
    assert rank_classes(tree, "wave", ["Wave", "Model"], {})[0] == "Model"


def test_widths_and_heads_of_a_part_are_as_usual() -> None:
    assert [usual_value(name, "int") for name in ("vision_width", "transformer_heads", "pool_heads")] == ["64", "4", "4"]


def test_a_number_for_the_name_of_a_file_closes_no_stream(load: Load) -> None:
    text = """
    import json


    class Net(nn.Module):
        def __init__(self, described):
            super().__init__()
            with open(described) as file:
                self.lin = nn.Linear(*json.load(file))

        def forward(self, x):
            return self.lin(x)
    """
    before = [os.fstat(number) for number in (0, 1, 2)]
    find(subjects_of(load(text))[0], Deadline(5))
    assert [os.fstat(number) for number in (0, 1, 2)] == before


def test_an_entry_that_the_code_may_do_without_is_none(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(8, 8)

        def forward(self, x, prompts):
            x = self.lin(x)
            if prompts["boxes"] is not None:
                raise RuntimeError("boxes are not to be had")
            return x + prompts["shift"]
    """
    assert _found(load, text).call.given()["prompts"] == "{'boxes': None, 'shift': float32[2,8]}"


@pytest.mark.parametrize(
    ("forward", "kind"),
    [
        ("if self.kind == 'deep':\n        return self.lin(x)\n    else:\n        raise ValueError('not yet')", "'deep'"),
        ("if self.kind == 'wide':\n        raise NotImplementedError\n    if self.kind == 'flat':\n        return self.lin(x)", "'flat'"),
    ],
)
def test_a_word_that_the_call_refuses_becomes_another(load: Load, forward: str, kind: str) -> None:
    text = "class Net(nn.Module):\n  def __init__(self, width, kind='wide'):\n    super().__init__()\n"
    text += f"    self.lin, self.kind = nn.Linear(width, width), kind\n\n  def forward(self, x):\n    {forward}\n"
    assert _found(load, text).construction.given()["kind"] == kind


def test_arguments_that_one_line_does_the_same_with_are_mended_together(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, first, second, third, fourth):
            super().__init__()
            one, two, three, four = first[-1], second[-1], third[-1], fourth[-1]
            self.lin = nn.Linear(one, one)

        def forward(self, x):
            return self.lin(x)
    """
    tried = list(build(subjects_of(load(text))[0], Deadline(10)))
    assert tried[0][0].text == "Net(first=(2, 2), second=(2, 2), third=(2, 2), fourth=(2, 2))"


def test_several_dims_of_a_part_are_a_list() -> None:
    assert [usual_value(name) for name in ("dims_encoder", "dim_y", "dim_head")] == ["[64, 64]", "64", "16"]


def test_dropouts_are_several() -> None:
    assert [usual_value(name) for name in ("dropouts", "dropout_rates", "dropout")] == ["(0.0, 0.0)", "(0.0, 0.0)", "0.0"]


def test_the_entries_of_a_dict_are_mended_as_arguments_are(load: Load) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)

        def forward(self, inputs):
            return self.conv(inputs["frames"].permute(1, 0, 2, 3, 4).flatten(0, 1))
    """
    found = _found(load, text)
    assert found.call.given()["inputs"] == "{'frames': float32[2,3,3,32,32]}"
    assert found.call.elements == 2 * 3 * 3 * 32 * 32
