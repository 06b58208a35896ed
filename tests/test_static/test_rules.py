"""Each rule on texts that it must flag and on texts that only look like them. Severities are those at which `lint` fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from read_files import codes_of, findings_of
from rewritings import model

from gradflow.report import Severity
from gradflow.static.classes import Hierarchy
from gradflow.static.names import Function, Package
from gradflow.static.read import parse_source
from gradflow.static.relevance import Relevance

HEAD = "import copy\nimport torch\nimport torch.nn as nn\nimport torch.nn.functional as F\nfrom torch.autograd import Function, Variable\n"


def module(init: str, forward: str, more: str = "") -> str:
    """A file with one module; `init` and `forward` are statements."""
    lines = [*(f"        {line}" for line in init.splitlines()), "", "    def forward(self, x):"]
    lines += [f"        {line}" for line in forward.splitlines()]
    return (
        HEAD
        + "\nclass Net(nn.Module):\n    def __init__(self, device=None):\n        super().__init__()\n"
        + "\n".join(lines)
        + "\n"
        + more
    )


TRAIN = "model = Net()\nopt = torch.optim.SGD(model.parameters(), lr=0.1)\n"

FLAGGED = {
    "GF101 a gate that is only compared": (
        "GF101",
        module("self.gate, self.out = nn.Linear(2, 2), nn.Linear(2, 2)", "mask = self.gate(x) > 0\nreturn self.out(x) * mask"),
    ),
    "GF101 indices of topk": (
        "GF101",
        module(
            "self.router, self.out = nn.Linear(2, 4), nn.Linear(2, 2)",
            "_, chosen = self.router(x).topk(2)\nreturn self.out(x)[chosen]",
        ),
    ),
    "GF101 sample of a distribution": (
        "GF101",
        module(
            "self.mean, self.out = nn.Linear(2, 2), nn.Linear(2, 1)",
            "z = torch.distributions.Normal(self.mean(x), 1.0).sample()\nreturn self.out(z)",
        ),
    ),
    "GF101 an argmax between two parts": (
        "GF101",
        module("self.emb, self.enc = nn.Embedding(9, 2), nn.Linear(2, 9)", "return self.emb(self.enc(x).argmax(-1))"),
    ),
    "GF101 rounded to whole numbers": (
        "GF101",
        module("self.where, self.out = nn.Linear(2, 1), nn.Linear(2, 2)", "i = self.where(x).long()\nreturn self.out(x) + i"),
    ),
    "GF101 a float of a parameter": (
        "GF101",
        module("self.scale = nn.Parameter(torch.ones(1))\nself.out = nn.Linear(2, 2)", "return self.out(x) * float(self.scale)"),
    ),
    "GF102 a layer that is never read": ("GF102", module("self.fc1 = nn.Linear(2, 2)\nself.fc2 = nn.Linear(2, 2)", "return self.fc1(x)")),
    "GF103 a list": (
        "GF103",
        module("self.parts = [nn.Linear(2, 2) for _ in range(3)]", "for part in self.parts:\n    x = part(x)\nreturn x"),
    ),
    "GF103 a list that is filled": (
        "GF103",
        module(
            "self.parts = []\nfor _ in range(3):\n    self.parts.append(nn.Linear(2, 2))",
            "for part in self.parts:\n    x = part(x)\nreturn x",
        ),
    ),
    "GF103 a dict": ("GF103", module('self.parts = {"a": nn.Linear(2, 2)}', 'return self.parts["a"](x)')),
    "GF103 a tuple": ("GF103", module("self.parts = (nn.Linear(2, 2), nn.Linear(2, 2))", "return self.parts[0](x)")),
    "GF103 a Parameter that is moved": ("GF103", module("self.w = nn.Parameter(torch.ones(2)).to(device)", "return x * self.w")),
    "GF103 a Parameter that is scaled": ("GF103", module("self.w = nn.Parameter(torch.ones(2)) * 0.1", "return x * self.w")),
    "GF104 a layer in forward": ("GF104", module("pass", "return nn.Linear(2, 2)(x)")),
    "GF104 a layer in a helper": (
        "GF104",
        module("pass", "return self._mix(x)", "\n    def _mix(self, x):\n        fc = nn.Linear(2, 2)\n        return fc(x)\n"),
    ),
    "GF104 a computed weight as a Parameter": (
        "GF104",
        module(
            "self.make = nn.Linear(2, 2)\nself.out = nn.Linear(2, 2)", "w = nn.Parameter(self.make(x))\nreturn F.linear(self.out(x), w)"
        ),
    ),
    "GF105 a tensor of losses": (
        "GF105",
        HEAD + "def step(model, xs):\n    losses = [model(x).mean() for x in xs]\n"
        "    loss = torch.tensor(losses, requires_grad=True).mean()\n    loss.backward()\n",
    ),
    "GF105 a Variable of a loss": (
        "GF105",
        HEAD + "def step(loss):\n    loss = Variable(loss, requires_grad=True)\n    loss.backward()\n",
    ),
    "GF105 returned by a loss function": (
        "GF105",
        HEAD + "def my_loss(a, b):\n    loss = F.mse_loss(a, b)\n    return torch.tensor(loss, requires_grad=True)\n\n"
        "my_loss(1, 2).backward()\n",
    ),
    "GF106 None for a weight": (
        "GF106",
        module("self.scale = nn.Parameter(torch.ones(1))\nself.fc = nn.Linear(2, 2)", "return Scale.apply(self.fc(x), self.scale)")
        + "\nclass Scale(Function):\n    @staticmethod\n    def forward(ctx, x, s):\n        ctx.save_for_backward(x, s)\n"
        "        return x * s\n\n    @staticmethod\n    def backward(ctx, g):\n"
        "        x, s = ctx.saved_tensors\n        return g * s, None\n",
    ),
    "GF101 a cut before what is told whether it trains": (
        "GF101",
        module("self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)", "return self.b(F.dropout(self.a(x).detach(), 0.1, self.training))"),
    ),
    "GF302 a head that is replaced": (
        "GF302",
        HEAD + TRAIN + "model.head = nn.Linear(2, 3)\nfor x in range(3):\n    model(x).backward()\n    opt.step()\n    opt.zero_grad()\n",
    ),
    "GF303 cleared before the step": (
        "GF303",
        HEAD + TRAIN + "for x in range(3):\n    loss = model(x)\n    loss.backward()\n    opt.zero_grad()\n    opt.step()\n",
    ),
    "GF401 never cleared": ("GF401", HEAD + TRAIN + "for x in range(3):\n    loss = model(x)\n    loss.backward()\n    opt.step()\n"),
    "GF402 require_grad": ("GF402", HEAD + "for p in nn.Linear(2, 2).parameters():\n    p.require_grad = False\n"),
    "GF402 not called": ("GF402", HEAD + TRAIN + "for x in range(3):\n    opt.zero_grad\n    model(x).backward()\n    opt.step()\n"),
    "GF403 computed under no_grad": (
        "GF403",
        HEAD + "def step(model, x):\n    with torch.no_grad():\n        loss = model(x).mean()\n    loss.backward()\n",
    ),
}

SILENT = {
    "a Parameter of floats, as floats": module("self.w = nn.Parameter(torch.ones(2)).float()", "return x * self.w"),
    "a layer that a decorator keeps": HEAD
    + "def once(f):\n    def wrapper(self, *a):\n        self.kept = getattr(self, 'kept', None) or f(self, *a)\n        return self.kept\n"
    + "    return wrapper\n\nclass Net(nn.Module):\n    @once\n    def made(self, n):\n        return nn.Linear(n, 2)\n\n"
    + "    def forward(self, x):\n        return self.made(x.shape[-1])(x)\n",
    "a loss of the same name in a function": HEAD
    + "def train(model, x):\n    loss = model(x).mean()\n    loss.backward()\n\nwith torch.no_grad():\n    loss = model(x).mean()\n",
    "a comparison beside a live way": module(
        "self.gate, self.out = nn.Linear(2, 2), nn.Linear(2, 2)", "g = self.gate(x)\nreturn self.out(x) * g * (g > 0)"
    ),
    "values of topk": module(
        "self.router, self.out = nn.Linear(2, 4), nn.Linear(2, 2)",
        "weights, chosen = self.router(x).topk(2)\nreturn self.out(x)[chosen] * weights",
    ),
    "rsample": module(
        "self.mean, self.out = nn.Linear(2, 2), nn.Linear(2, 1)",
        "z = torch.distributions.Normal(self.mean(x), 1.0).rsample()\nreturn self.out(z)",
    ),
    "log_prob of a sample": module(
        "self.mean = nn.Linear(2, 2)",
        "d = torch.distributions.Normal(self.mean(x), 1.0)\na = d.sample()\nreturn a, d.log_prob(a)",
    ),
    "a buffer": module(
        'self.register_buffer("scale", torch.ones(1))\nself.out = nn.Linear(2, 2)', "return self.out(x) * self.scale.item()"
    ),
    "a frozen Parameter": module(
        "self.scale = nn.Parameter(torch.ones(1), requires_grad=False)\nself.out = nn.Linear(2, 2)",
        "return self.out(x) * float(self.scale)",
    ),
    "a target that is a copy": module(
        "self.online = nn.Linear(2, 2)\nself.slow = copy.deepcopy(self.online)",
        "with torch.no_grad():\n    y = self.slow(x)\nreturn self.online(x) - y",
    ),
    "a name that says target": module(
        "self.online, self.target_net = nn.Linear(2, 2), nn.Linear(2, 2)",
        "with torch.no_grad():\n    y = self.target_net(x)\nreturn self.online(x) - y",
    ),
    "a whole forward without parameters": HEAD
    + "class Rope(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.register_buffer('f', torch.ones(2))\n\n"
    "    @torch.no_grad()\n    def forward(self, x):\n        return x * self.f\n",
    "a layer read through getattr": module(
        "self.fc1 = nn.Linear(2, 2)\nself.fc2 = nn.Linear(2, 2)", "for i in (1, 2):\n    x = getattr(self, f'fc{i}')(x)\nreturn x"
    ),
    "a layer that is kept for old weights": module(
        "self.fc1 = nn.Linear(2, 2)\nself.fc2 = nn.Linear(2, 2)  # unused, kept so that old checkpoints load", "return self.fc1(x)"
    ),
    "a list that is also registered": module(
        "self.a = nn.Linear(2, 2)\nself.b = nn.Linear(2, 2)\nself.parts = [self.a, self.b]",
        "for part in self.parts:\n    x = part(x)\nreturn x",
    ),
    "a list that becomes a ModuleList": module(
        "parts = [nn.Linear(2, 2) for _ in range(3)]\nself.parts = nn.ModuleList(parts)",
        "for part in self.parts:\n    x = part(x)\nreturn x",
    ),
    "a list whose members are added": module(
        "self.parts = [nn.Linear(2, 2) for _ in range(3)]\nfor i, part in enumerate(self.parts):\n    self.add_module(str(i), part)",
        "for part in self.parts:\n    x = part(x)\nreturn x",
    ),
    "a list of functions": module("self.acts = [nn.ReLU(), nn.Tanh()]\nself.fc = nn.Linear(2, 2)", "return self.acts[0](self.fc(x))"),
    "a Parameter that is cast before": module("self.w = nn.Parameter(torch.ones(2).to(device))", "return x * self.w"),
    "a layer made once": module("self.fc = None", "if self.fc is None:\n    self.fc = nn.Linear(x.shape[-1], 2)\nreturn self.fc(x)"),
    "an activation in forward": module(
        "self.fc = nn.Linear(2, 2)", "return nn.ReLU()(nn.LayerNorm(2, elementwise_affine=False)(self.fc(x)))"
    ),
    "a layer that borrows weights": module(
        "self.w = nn.Parameter(torch.ones(2, 2))", "fc = nn.Linear(2, 2)\ndel fc.weight\nfc.weight = self.w\nreturn fc(x)"
    ),
    "a learnable input": HEAD + "def attack(model, x0):\n    x = torch.tensor(x0, requires_grad=True)\n    loss = model(x).mean()\n"
    "    loss.backward()\n    return x.grad\n",
    "a hand-made parameter": HEAD + "w = torch.tensor([1.0, 2.0], requires_grad=True)\nloss = (w ** 2).sum()\nloss.backward()\n",
    "an accumulator that begins at zero": HEAD
    + "def step(model, xs):\n    loss = torch.tensor(0.0, requires_grad=True)\n    for x in xs:\n"
    "        loss = loss + model(x)\n    loss.backward()\n",
    "None for a flag": module("self.fc = nn.Linear(2, 2)", "return Scale.apply(self.fc(x), 3)")
    + "\nclass Scale(Function):\n    @staticmethod\n    def forward(ctx, x, n):\n        return x * n\n\n"
    "    @staticmethod\n    def backward(ctx, g):\n        return g, None\n",
    "None for layers, whose gradients backward makes itself": module(
        "self.blocks, self.fc = nn.ModuleList([nn.Linear(2, 2)]), nn.Linear(2, 2)", "return Run.apply(self.fc(x), self.blocks)"
    )
    + "\nclass Run(Function):\n    @staticmethod\n    def forward(ctx, x, blocks):\n        for block in blocks:\n"
    "            x = block(x)\n"
    "        ctx.save_for_backward(x)\n        ctx.blocks = blocks\n        return x\n\n    @staticmethod\n    def backward(ctx, g):\n"
    "        (x,) = ctx.saved_tensors\n        with torch.enable_grad():\n            torch.autograd.backward(ctx.blocks[0](x), g)\n"
    "        return g, None\n",
    "None in one of two returns": module(
        "self.scale = nn.Parameter(torch.ones(1))\nself.fc = nn.Linear(2, 2)", "return Scale.apply(self.fc(x), self.scale)"
    )
    + "\nclass Scale(Function):\n    @staticmethod\n    def forward(ctx, x, s):\n        return x * s\n\n    @staticmethod\n"
    "    def backward(ctx, g):\n        if not ctx.needs_input_grad[1]:\n            return g, None\n        return g, g.sum()\n",
    "replaced before the optimizer": HEAD
    + "model = Net()\nmodel.head = nn.Linear(2, 3)\nopt = torch.optim.SGD(model.parameters(), lr=0.1)\nopt.step()\nopt.zero_grad()\n",
    "replaced, then a new optimizer": HEAD
    + TRAIN
    + "model.head = nn.Linear(2, 3)\nopt = torch.optim.SGD(model.parameters(), lr=0.1)\nopt.step()\nopt.zero_grad()\n",
    "cleared before backward": HEAD
    + TRAIN
    + "for x in range(3):\n    loss = model(x)\n    opt.zero_grad()\n    loss.backward()\n    opt.step()\n",
    "cleared after the step": HEAD + TRAIN + "for x in range(3):\n    model(x).backward()\n    opt.step()\n    opt.zero_grad()\n",
    "two optimizers": HEAD + TRAIN + "other = torch.optim.SGD(model.parameters(), lr=1)\nfor x in range(3):\n    model(x).backward()\n"
    "    other.zero_grad()\n    opt.step()\n    opt.zero_grad()\n",
    "gradients set to None": HEAD
    + TRAIN
    + "for x in range(3):\n    for p in model.parameters():\n        p.grad = None\n    model(x).backward()\n    opt.step()\n",
    "requires_grad": HEAD + "for p in nn.Linear(2, 2).parameters():\n    p.requires_grad = False\n",
    "an attribute of its own": HEAD + "class A:\n    def __init__(self):\n        self.require_grad = False\n",
    "computed outside, logged inside": HEAD + "def step(model, x):\n    loss = model(x).mean()\n    with torch.no_grad():\n"
    "        shown = loss * 2\n    loss.backward()\n    return shown\n",
    "grads on again": HEAD + "def step(model, x):\n    with torch.no_grad():\n        with torch.enable_grad():\n"
    "            loss = model(x).mean()\n    loss.backward()\n",
}


@pytest.mark.parametrize("name", FLAGGED)
def test_a_fault_is_flagged_with_its_code_alone(name: str, tmp_path: Path) -> None:
    code, text = FLAGGED[name]
    assert codes_of(text, tmp_path) == [code]


TWO_STACKS = """
class Cell(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.lin = nn.Linear(size, size)

    def forward(self, x):
        return self.lin(x.detach())

class Net(nn.Module):
    def __init__(self, names, n, size):
        super().__init__()
        down, up = [], []
        for i in range(n):
            one, other = Cell(size), Cell(size)
            self.add_module(FIRST, one)
            self.add_module(SECOND, other)
            down.append(one)
            up.append(other)
        self.down, self.up = down, up

    def forward(self, x):
        for one, other in zip(self.down, self.up):
            x = one(x) + other(x)
        return x
"""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("'down_{}'.format(i)", "'up_{}'.format(i)"),
        ("f'down_{i}'", "f'up_{i}'"),
        ("names[i]", "names[n + i]"),
        ("name('down', i)", "name('up', i)"),
    ],
)
def test_layers_of_two_lists_that_are_added_under_names_which_are_not_known_are_registered(first: str, second: str, tmp_path: Path) -> None:
    # A cell that cuts something is built and not only counted: two of them under one name that is not known were taken for a choice.
    text = HEAD + TWO_STACKS
    assert codes_of(text.replace("FIRST", first).replace("SECOND", second), tmp_path) == []
    one_left = text.replace("FIRST", first).replace("            self.add_module(SECOND, other)\n", "")
    (finding,) = findings_of(one_left, tmp_path)
    assert (finding.code, finding.parameters) == ("GF103", ("up.*.lin",))


@pytest.mark.parametrize("name", SILENT)
def test_what_only_looks_like_a_fault_is_not_flagged(name: str, tmp_path: Path) -> None:
    assert codes_of(SILENT[name], tmp_path) == []


def test_a_layer_that_another_file_reads_is_used(tmp_path: Path) -> None:
    text = FLAGGED["GF102 a layer that is never read"][1]
    (tmp_path / "other.py").write_text("def head(net, x):\n    return net.fc2(x)\n", "utf-8")
    (tmp_path / "model.py").write_text(text, "utf-8")
    from gradflow.static.lint import Lookout, lint_paths

    assert lint_paths([tmp_path], Lookout()).findings == ()
    assert [finding.code for finding in lint_paths([tmp_path / "model.py"], Lookout()).findings] == ["GF102"]


def test_a_class_in_which_nothing_learns_and_a_file_that_does_not_train_is_info(tmp_path: Path) -> None:
    text = module("self.fc = nn.Linear(2, 2)", "with torch.no_grad():\n    return self.fc(x)")
    (finding,) = findings_of(text, tmp_path)
    assert finding.severity is Severity.INFO
    assert "may be cut off" in finding.message
    (finding,) = findings_of(text + "\nnet = Net()\nnet(torch.ones(2)).sum().backward()\n", tmp_path)
    assert finding.severity is Severity.ERROR


def test_a_base_class_that_is_not_known_makes_it_a_warning(tmp_path: Path) -> None:
    text = module("self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)", "return self.b(self.a(x).detach())")
    text = "from elsewhere import PreTrainedModel\n" + text.replace("class Net(nn.Module)", "class Net(PreTrainedModel)")
    (finding,) = findings_of(text, tmp_path)
    assert finding.severity is Severity.WARNING and "may be" in finding.message


INNER = """
class Bias(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.zeros(1, len((1, 2))), requires_grad=False)

    def forward(self, x):
        return x + self.b
"""


def test_an_inner_class_whose_parameters_are_all_frozen_is_not_trained(tmp_path: Path) -> None:
    forward = "y = self.w(x)\n_, i = self.bias(y).topk(2)\nreturn y.gather(-1, i)"
    text = module("self.bias, self.w = Bias(), nn.Linear(2, 4)", forward, INNER)
    assert codes_of(text, tmp_path) == []
    assert codes_of(text.replace(", requires_grad=False", ""), tmp_path) == ["GF101"]


ENCODER = """
class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(2, 2)

    def forward(self, x):
        return self.lin(x)
"""


def test_a_whole_module_without_gradients_that_nothing_comes_before_may_be_meant_as_frozen(tmp_path: Path) -> None:
    first = "with torch.no_grad():\n    h = self.encoder(x)\nreturn self.head(h)"
    text = module("self.encoder, self.head = Encoder(), nn.Linear(2, 1)", first, ENCODER)
    (finding,) = findings_of(text, tmp_path)
    assert finding.severity is Severity.INFO and "may be cut off" in finding.message
    assert any("meant as frozen" in note for note in finding.notes)
    # What trains in the same file, one layer instead of a module, and a layer before it that dies too, are errors.
    assert codes_of(text + TRAIN + "model(x).backward()\nopt.step()\nopt.zero_grad()\n", tmp_path) == ["GF101"]
    assert codes_of(text.replace("Encoder(), ", "nn.Linear(2, 2), "), tmp_path) == ["GF101"]
    before = text.replace("= Encoder(), nn.Linear(2, 1)", "= Encoder(), nn.Linear(2, 1)\n        self.stem = nn.Linear(2, 2)")
    assert codes_of(before.replace("with torch", "x = self.stem(x)\n        with torch"), tmp_path) == ["GF101"]


def test_a_choice_that_is_only_handed_out_beside_what_learns_is_info(tmp_path: Path) -> None:
    layers = "self.gate, self.out = nn.Linear(2, 2), nn.Linear(2, 2)"
    (finding,) = findings_of(module(layers, "return self.out(x), self.gate(x).argmax(-1)"), tmp_path)
    assert finding.severity is Severity.INFO and "may be cut off" in finding.message
    assert codes_of(module(layers, "return self.out(x) * (self.gate(x) > 0)"), tmp_path) == ["GF101"]
    assert codes_of(module(layers, "return self.out(self.gate(x).argmax(-1).float())"), tmp_path) == ["GF101"]


@pytest.mark.parametrize(("name", "codes"), [("save_table", ["GF101"]), ("from_pretrained", ["GF101"]), ("auxiliary_loss", [])])
def test_a_method_that_stores_or_fetches_weights_does_not_train_them(name: str, codes: list[str], tmp_path: Path) -> None:
    methods = f"""
    def forward(self, x):
        return self.lin2(self.lin1(self.lin0(x)).detach())
    def {name}(self, x):
        return self.lin1(self.lin0(x))"""
    assert codes_of(model(methods), tmp_path) == codes


def test_a_function_that_a_comment_names_is_not_handed_on() -> None:
    text = "import torch\ndef f(x):\n    with torch.no_grad():\n        return x + 1\n"
    text += "def g(x):\n    # as f does\n    return x\ndef h(x):\n    return map(f, x)\n"
    file = Package(str).add(parse_source(text.encode(), "a.py", "a.py"))
    relevance = Relevance(Hierarchy(Package(str)))
    found = {name: file.names[name] for name in ("g", "h")}
    assert {name: relevance.named(entry.node, file).region for name, entry in found.items() if isinstance(entry, Function)} == {
        "g": False,
        "h": True,
    }
