"""Which class of a file is its main one, and what is read to find that out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from model_files import Load

from gradflow.capture.guess import examples
from gradflow.capture.guess.ranking import rank_classes
from gradflow.capture.guess.search import Deadline, Found, find
from gradflow.capture.guess.target import factories, subjects_of


def _first(text: str, stem: str = "model", exampled: dict[str, int] | None = None) -> str:
    tree = ast.parse(text)
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    return rank_classes(tree, stem, classes, exampled or {})[0]


@pytest.mark.parametrize(
    ("text", "stem", "main"),
    [
        ("class Net:\n    def f(self): self.b = Block()\nclass Block: pass\n", "model", "Net"),
        ("class Block: pass\nclass Net:\n    def f(self): self.b = make()\ndef make(): return Block()\n", "model", "Net"),
        ("class Encoder: pass\nclass Decoder: pass\nclass Autoencoder:\n    def __init__(self, e: 'Encoder', d: 'Decoder'): pass\n",
         "autoencoder", "Autoencoder"),
        ("class Base: pass\nclass ResNet(Base): pass\nclass ResNetLoss: pass\n", "resnet", "ResNet"),
        ("class VGGLoss: pass\nclass Vgg: pass\n", "losses", "Vgg"),
        ("class get_model: pass\nclass get_loss: pass\n", "pointnet", "get_model"),
        ("__all__ = ['Small']\nclass Small: pass\nclass Other: pass\n", "net", "Small"),
        ("class A: pass\nclass B: pass\ndef a_tiny(): return A()\ndef a_big(): return A()\n", "net", "A"),
        ("class XForTokenClassification:\n    def f(self): XModel()\nclass XForCausalLM:\n    def f(self): XModel()\nclass XModel: pass\n",
         "modeling_x", "XForCausalLM"),
        ("class Dense: pass\nclass MoE: pass\nclass NestedMoE: pass\n", "mixture_of_experts", "MoE"),
        ("class TinyIO: pass\nclass TinyLM:\n    def f(self): TinyIO()\n", "tiny_io", "TinyIO"),
        ("class XModel:\n    def f(self): Tower()\nclass XForImageClassification:\n    def f(self): Tower()\nclass Tower: pass\n",
         "modeling_x", "XModel"),
        ("class XForCausalLM:\n    def f(self): Stack()\nclass XForConditionalGeneration:\n    def f(self): Stack()\nclass Stack: pass\n",
         "modeling_x", "XForConditionalGeneration"),
        ("class XModel: pass\nclass XLMHeadModel:\n    def f(self): XModel()\n"
         "class XForSequenceClassification:\n    def f(self): XModel()\n", "modeling_x", "XLMHeadModel"),
        ("class HRNet: pass\nclass HRNetFeatures(HRNet): pass\n", "hr", "HRNet"),
        ("class XBase:\n    def f(self, m): isinstance(m, XForPreTraining)\nclass XForPreTraining(XBase): pass\n"
         "class XForXVector(XBase): pass\n", "modeling_x", "XForPreTraining"),
        ("class XModel: pass\nclass XBackbone:\n    def f(self): XModel()\n", "modeling_x", "XModel"),
    ],
)  # fmt: skip
def test_the_main_class_is_built_from_the_others_named_as_the_file_or_handed_out(text: str, stem: str, main: str) -> None:
    assert _first(text, stem) == main


def test_a_class_that_somebody_builds_comes_before_one_that_nobody_does() -> None:
    text = "class A: pass\nclass B: pass\n"
    assert (_first(text), _first(text, exampled={"A": 1})) == ("B", "A")


def test_what_a_class_builds_inside_itself_is_no_example_of_use(load: Load) -> None:
    text = """
    class LanguageModelHead(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.lin = nn.Linear(width, 4)

        def forward(self, x):
            return self.lin(x)


    class BERTLM(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = LanguageModelHead(8)

        def forward(self, x):
            return self.head(x)
    """
    assert subjects_of(load(text, "language_model"))[0].name == "BERTLM"


def test_what_lies_beside_the_file_is_read_only_where_the_file_itself_does_not_help(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").write_text("```python\nnet = Net(sizes=(3, 5))\nnet(torch.randn(2, 3))\n```\n", "utf-8")
    text = "class Net(nn.Module):\n    def __init__(self, sizes{}):\n        super().__init__()\n        a, b = sizes\n"
    text += "        self.lin = nn.Linear(a, b)\n\n    def forward(self, x):\n        return self.lin(x)\n"
    found = find(subjects_of(load(text.format(""), "asks"))[0], Deadline(10))
    assert isinstance(found, Found)
    assert (found.construction.text, found.call.text) == ("Net(sizes=(3, 5))", "x=float32[2,3]")

    def unread(*_: object) -> None:
        raise AssertionError("the neighbours were read")

    monkeypatch.setattr(examples, "_neighbours", unread)
    found = find(subjects_of(load(text.format("=(4, 6)"), "helps"))[0], Deadline(10))
    assert isinstance(found, Found)
    assert (found.construction.text, found.call.text) == ("Net()", "x=float32[2,4]")


def test_a_function_makes_what_it_returns_else_what_a_function_makes_that_it_calls(load: Load) -> None:
    text = """
    class Block(nn.Module):
        def forward(self, x):
            return x


    class Net(Block):
        pass


    class NetFeatures(Net):
        pass


    def _net(block):
        model = Net(NetFeatures(block))
        return model


    def net_tiny():
        return _net(Block)


    def net(features: bool) -> Net:
        kind = NetFeatures if features else Net
        return kind(NetFeatures)


    def any_of_them(name):
        if name == "block":
            return Block()
        return NetFeatures()
    """
    module = load(text)
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    made = factories(tree, module, {"Block", "Net", "NetFeatures"})
    assert made == {"_net": "Net", "net_tiny": "Net", "net": "Net"}


def test_a_class_that_lacks_methods_is_no_model_where_another_has_them(load: Load) -> None:
    text = """
    from abc import ABC, abstractmethod


    class Model(nn.Module, ABC):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(8, 8)

        @abstractmethod
        def forward(self, x): ...


    class Around(nn.Module):
        def __init__(self, net: Model):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x)
    """
    subjects = subjects_of(load(text))
    assert [subject.name for subject in subjects] == ["Around"]
    assert isinstance(find(subjects[0], Deadline(10)), Found)


def test_a_class_that_leaves_a_method_to_others_comes_after_those_that_fill_it_in() -> None:
    text = """
class BasicNet(nn.Module):
    def __init__(self): self.layer = self.make()
    def make(self):
        \"\"\"A layer.\"\"\"
        raise NotImplementedError
    def forward(self, x): return self.layer(x)

class Net(BasicNet):
    def make(self): return nn.Linear(2, 2)
"""
    assert _first(text, "basic_net") == "Net"
