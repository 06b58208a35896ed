"""One fault in many spellings: lin0 -> lin1 -> lin2, where lin1 runs without gradients. In CERTAIN ones the cut is on every way."""

from __future__ import annotations

HEAD = """\
import contextlib
import functools
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import no_grad
"""

INIT = """\
    def __init__(self):
        super().__init__()
        self.lin0 = nn.Linear(2, 3)
        self.lin1 = nn.Linear(3, 3)
        self.lin2 = nn.Linear(3, 1)
"""


def model(methods: str, *, before: str = "", init: str = INIT) -> str:
    """A file with one class of three layers."""
    return f"{HEAD}\n{before}\nclass Model(nn.Module):\n{init}\n{methods}\n"


CERTAIN = {
    "with block": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            x = self.lin1(x)
        return self.lin2(x)""",
    "imported name": """
    def forward(self, x):
        x = self.lin0(x)
        with no_grad():
            x = self.lin1(x)
        return self.lin2(x)""",
    "inference mode": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.inference_mode():
            x = self.lin1(x)
        return self.lin2(x.clone())""",
    "set_grad_enabled as a block": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.set_grad_enabled(False):
            x = self.lin1(x)
        return self.lin2(x)""",
    "set_grad_enabled as calls": """
    def forward(self, x):
        x = self.lin0(x)
        torch.set_grad_enabled(False)
        x = self.lin1(x)
        torch.set_grad_enabled(True)
        return self.lin2(x)""",
    "mode that is put back": """
    def forward(self, x):
        x = self.lin0(x)
        before = torch.is_grad_enabled()
        torch.set_grad_enabled(False)
        x = self.lin1(x)
        torch.set_grad_enabled(before)
        return self.lin2(x)""",
    "helper method": """
    def forward(self, x):
        return self.lin2(self._frozen(self.lin0(x)))

    def _frozen(self, x):
        with torch.no_grad():
            return self.lin1(x)""",
    "decorated helper": """
    @torch.no_grad()
    def _frozen(self, x):
        return self.lin1(x)

    def forward(self, x):
        return self.lin2(self._frozen(self.lin0(x)))""",
    "bare decorator": """
    @torch.no_grad
    def _frozen(self, x):
        return self.lin1(x)

    def forward(self, x):
        return self.lin2(self._frozen(self.lin0(x)))""",
    "decorated property": """
    @property
    def frozen(self):
        return torch.no_grad()(self.lin1)

    def forward(self, x):
        return self.lin2(self.frozen(self.lin0(x)))""",
    "static helper with the layer": """
    @staticmethod
    def _without_grad(layer, x):
        with torch.no_grad():
            return layer(x)

    def forward(self, x):
        x = self.lin0(x)
        return self.lin2(self._without_grad(self.lin1, x))""",
    "nested function": """
    def forward(self, x):
        def middle(h):
            with torch.no_grad():
                return self.lin1(h)

        return self.lin2(middle(self.lin0(x)))""",
    "nested decorated function": """
    def forward(self, x):
        x = self.lin0(x)

        @torch.no_grad()
        def middle():
            return self.lin1(x)

        return self.lin2(middle())""",
    "lambda": """
    def forward(self, x):
        detached = lambda t: t.detach()
        return self.lin2(detached(self.lin1(self.lin0(x))))""",
    "walrus": """
    def forward(self, x):
        with torch.no_grad():
            y = self.lin1(h := self.lin0(x))
        return self.lin2(y)""",
    "alias": """
    def forward(self, x):
        layer = self.lin1
        h = self.lin0(x)
        with torch.no_grad():
            z = layer(h)
        out = z
        return self.lin2(out)""",
    "context in a variable": """
    def forward(self, x):
        context = torch.no_grad()
        x = self.lin0(x)
        with context:
            x = self.lin1(x)
        return self.lin2(x)""",
    "context on the object": """
    def forward(self, x):
        self.context = torch.no_grad()
        x = self.lin0(x)
        with self.context:
            x = self.lin1(x)
        return self.lin2(x)""",
    "two contexts in one with": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.autocast("cpu", enabled=False), torch.no_grad():
            x = self.lin1(x)
        return self.lin2(x)""",
    "exit stack": """
    def forward(self, x):
        x = self.lin0(x)
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            x = self.lin1(x)
        return self.lin2(x)""",
    "entered by hand": """
    def forward(self, x):
        x = self.lin0(x)
        guard = torch.no_grad()
        guard.__enter__()
        x = self.lin1(x)
        torch.set_grad_enabled(True)
        return self.lin2(x)""",
    "early return": """
    def forward(self, x, mask=None):
        x = self.lin0(x)
        with torch.no_grad():
            x = self.lin1(x)
            if mask is None:
                return self.lin1(x)
        return self.lin2(x)""",
    "both branches": """
    def forward(self, x, scale=None):
        x = self.lin0(x)
        with torch.no_grad():
            if scale is not None:
                x = self.lin1(x) * scale
            else:
                x = self.lin1(x)
        return self.lin2(x)""",
    "different cuts on both branches": """
    def forward(self, x, flag):
        x = self.lin0(x)
        if flag:
            x = self.lin1(x).detach()
        else:
            with torch.no_grad():
                x = self.lin1(x)
        return self.lin2(x)""",
    "try": """
    def forward(self, x):
        x = self.lin0(x)
        try:
            with torch.no_grad():
                x = self.lin1(x)
        except RuntimeError:
            raise
        return self.lin2(x)""",
    "detach": """
    def forward(self, x):
        x = self.lin1(self.lin0(x))
        return self.lin2(x.detach())""",
    "detach as a function": """
    def forward(self, x):
        x = torch.detach(self.lin1(self.lin0(x)))
        return self.lin2(x)""",
    "detach in place": """
    def forward(self, x):
        x = self.lin1(self.lin0(x))
        x.detach_()
        return self.lin2(x)""",
    "data": """
    def forward(self, x):
        x = self.lin1(self.lin0(x)).data
        return self.lin2(x)""",
    "numpy": """
    def forward(self, x):
        import numpy as np
        y = self.lin1(self.lin0(x)).detach().cpu().numpy()
        return self.lin2(torch.from_numpy(np.tanh(y)))""",
    "list of numbers": """
    def forward(self, x):
        x = self.lin1(self.lin0(x)).tolist()
        return self.lin2(torch.tensor(x))""",
    "new tensor": """
    def forward(self, x):
        x = self.lin1(self.lin0(x))
        return self.lin2(torch.tensor(x))""",
    "in a tuple": """
    def forward(self, x):
        h, extra = self.lin0(x), 1
        with torch.no_grad():
            pair = (self.lin1(h), extra)
        y, _ = pair
        return self.lin2(y)""",
    "in a dict": """
    def forward(self, x):
        h = {"in": self.lin0(x)}
        with torch.no_grad():
            h["out"] = self.lin1(h["in"])
        return {"logits": self.lin2(h["out"])}""",
    "in a list": """
    def forward(self, x):
        outs = []
        h = self.lin0(x)
        with torch.no_grad():
            outs.append(self.lin1(h))
        return self.lin2(outs[-1])""",
    "on the object, two methods": """
    def _first(self, x):
        with torch.no_grad():
            self.hidden = self.lin1(self.lin0(x))

    def forward(self, x):
        self._first(x)
        return self.lin2(self.hidden)""",
    "loop over layers": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            for layer in (self.lin1,):
                x = layer(x)
        return self.lin2(x)""",
    "while loop": """
    def forward(self, x):
        x = self.lin0(x)
        while True:
            with torch.no_grad():
                x = self.lin1(x)
            if x.shape[0] > 0:
                break
        return self.lin2(x)""",
    "keyword call": """
    def _frozen(self, *, inputs, scale=1.0):
        with torch.no_grad():
            return self.lin1(inputs) * scale

    def forward(self, x):
        return self.lin2(self._frozen(inputs=self.lin0(x), scale=2.0))""",
    "spread arguments": """
    def _frozen(self, *args, **kwargs):
        with torch.no_grad():
            return self.lin1(*args, **kwargs)

    def forward(self, x):
        return self.lin2(self._frozen(self.lin0(x)))""",
    "functional call of the weight": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            x = F.linear(x, self.lin1.weight, self.lin1.bias)
        return self.lin2(x)""",
    "getattr": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            x = getattr(self, "lin1")(x)
        return self.lin2(x)""",
    "getattr in a loop": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            for i in (1,):
                x = getattr(self, f"lin{i}")(x)
        return self.lin2(x)""",
    "partial": """
    def forward(self, x):
        frozen = functools.partial(torch.no_grad()(self.lin1))
        return self.lin2(frozen(self.lin0(x)))""",
    "match": """
    def forward(self, x, mode):
        x = self.lin0(x)
        with torch.no_grad():
            match mode:
                case "a":
                    x = self.lin1(x)
                case _:
                    x = F.relu(self.lin1(x))
        return self.lin2(x)""",
    "conditional expression": """
    def forward(self, x, flag):
        x = self.lin0(x)
        with torch.no_grad():
            x = self.lin1(x) if flag else self.lin1(-x)
        return self.lin2(x)""",
    "comprehension": """
    def forward(self, xs):
        with torch.no_grad():
            hs = [self.lin1(self.lin0(x)) for x in xs]
        return self.lin2(torch.stack(hs))""",
    "checkpoint": """
    def _frozen(self, x):
        with torch.no_grad():
            return self.lin1(x)

    def forward(self, x):
        x = torch.utils.checkpoint.checkpoint(self._frozen, self.lin0(x), use_reentrant=False)
        return self.lin2(x)""",
    "a flag that is set once": """
    FREEZE = True

    def forward(self, x):
        x = self.lin0(x)
        if self.FREEZE:
            with torch.no_grad():
                x = self.lin1(x)
        else:
            x = self.lin1(x)
        return self.lin2(x)""",
    "enabled again too early": """
    def forward(self, x):
        with torch.no_grad():
            x = self.lin1(self.lin0(x))
            with torch.enable_grad():
                return self.lin2(x)""",
}

BEFORE = {
    "context manager of the file": (
        """
@contextlib.contextmanager
def frozen():
    with torch.no_grad():
        yield
""",
        """
    def forward(self, x):
        x = self.lin0(x)
        with frozen():
            x = self.lin1(x)
        return self.lin2(x)""",
    ),
    "context class of the file": (
        """
class Frozen:
    def __enter__(self):
        self.before = torch.is_grad_enabled()
        torch.set_grad_enabled(False)

    def __exit__(self, *args):
        torch.set_grad_enabled(True)
""",
        """
    def forward(self, x):
        x = self.lin0(x)
        with Frozen():
            x = self.lin1(x)
        return self.lin2(x)""",
    ),
    "decorator of the file": (
        """
def frozen(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with torch.no_grad():
            return function(*args, **kwargs)

    return wrapper
""",
        """
    @frozen
    def _middle(self, x):
        return self.lin1(x)

    def forward(self, x):
        return self.lin2(self._middle(self.lin0(x)))""",
    ),
    "function of the file": (
        """
def run_frozen(layer, x):
    with torch.no_grad():
        return layer(x)
""",
        """
    def forward(self, x):
        return self.lin2(run_frozen(self.lin1, self.lin0(x)))""",
    ),
    "constant of the file": (
        """
FROZEN = True
""",
        """
    def forward(self, x):
        x = self.lin0(x)
        with torch.set_grad_enabled(not FROZEN):
            x = self.lin1(x)
        return self.lin2(x)""",
    ),
    "context constant of the file": (
        """
NO_GRAD = torch.no_grad()
""",
        """
    def forward(self, x):
        x = self.lin0(x)
        with NO_GRAD:
            x = self.lin1(x)
        return self.lin2(x)""",
    ),
    "inherited forward": (
        """
class Base(nn.Module):
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            x = self.lin1(x)
        return self.lin2(x)
""",
        "    pass",
    ),
    "mixin": (
        """
class Freezes:
    def middle(self, x):
        with torch.no_grad():
            return self.lin1(x)
""",
        """
    def forward(self, x):
        return self.lin2(self.middle(self.lin0(x)))""",
    ),
    "super": (
        """
class Base(nn.Module):
    def middle(self, x):
        return self.lin1(x)
""",
        """
    def middle(self, x):
        with torch.no_grad():
            return super().middle(x)

    def forward(self, x):
        return self.lin2(self.middle(self.lin0(x)))""",
    ),
}
"""Spellings with something before the class."""

BASES = {"inherited forward": "Base", "mixin": "Freezes, nn.Module", "super": "Base"}

LAYERS_IN_CONTAINERS = {
    "ModuleList": (
        "self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])",
        "for layer in self.layers:\n                x = layer(x)",
    ),
    "ModuleList from range": (
        "self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(4))",
        "for layer in self.layers:\n                x = layer(x)",
    ),
    "ModuleList that is filled": (
        "self.layers = nn.ModuleList()\n        for _ in range(3):\n            self.layers.append(nn.Linear(3, 3))",
        "for i, layer in enumerate(self.layers):\n                x = layer(x)",
    ),
    "ModuleDict": (
        'self.layers = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})',
        "for name in self.layers:\n                x = self.layers[name](x)",
    ),
    "ModuleDict by key": (
        'self.layers = nn.ModuleDict({"a": nn.Linear(3, 3)})',
        'x = self.layers["a"](x)',
    ),
    "Sequential": (
        "self.layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))",
        "x = self.layers(x)",
    ),
    "Sequential of a list": (
        "parts = []\n        for _ in range(2):\n            parts += [nn.Linear(3, 3), nn.ReLU()]\n"
        "        self.layers = nn.Sequential(*parts)",
        "x = self.layers(x)",
    ),
    "setattr and getattr": (
        'for i in range(2):\n            setattr(self, f"layers{i}", nn.Linear(3, 3))',
        'for i in range(2):\n                x = getattr(self, f"layers{i}")(x)',
    ),
    "add_module": (
        'self.add_module("layers", nn.Linear(3, 3))',
        "x = self.layers(x)",
    ),
    "built in a helper": (
        "self._build()\n\n    def _build(self):\n        self.layers = nn.Linear(3, 3)",
        "x = self.layers(x)",
    ),
}
"""(what `__init__` builds, how it is called in the block)."""

NOT_CERTAIN = {
    "a flag of the constructor": """
    def __init__(self, freeze=True):
        super().__init__()
        self.freeze = freeze
        self.lin0, self.lin1, self.lin2 = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x):
        x = self.lin0(x)
        if self.freeze:
            with torch.no_grad():
                x = self.lin1(x)
        else:
            x = self.lin1(x)
        return self.lin2(x)""",
    "set_grad_enabled of a flag": """
    def forward(self, x, freeze):
        x = self.lin0(x)
        with torch.set_grad_enabled(not freeze):
            x = self.lin1(x)
        return self.lin2(x)""",
    "nullcontext": """
    def forward(self, x, freeze):
        context = torch.no_grad() if freeze else contextlib.nullcontext()
        x = self.lin0(x)
        with context:
            x = self.lin1(x)
        return self.lin2(x)""",
    "nullcontext by a branch": """
    def forward(self, x, freeze):
        if freeze:
            context = torch.no_grad
        else:
            context = contextlib.nullcontext
        x = self.lin0(x)
        with context():
            x = self.lin1(x)
        return self.lin2(x)""",
    "only in evaluation": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.set_grad_enabled(self.training):
            x = self.lin1(x)
        return self.lin2(x)""",
    "early return in evaluation": """
    def forward(self, x):
        if not self.training:
            with torch.no_grad():
                return self.lin2(self.lin1(self.lin0(x)))
        return self.lin2(self.lin1(self.lin0(x)))""",
    "a way round the block": """
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            y = self.lin1(x)
        return self.lin2(x + y) + self.lin1(x).mean()""",
    "detach on one of two ways": """
    def forward(self, x):
        x = self.lin1(self.lin0(x))
        return self.lin2(x), x.detach()""",
    "straight through": """
    def forward(self, x):
        x = self.lin1(self.lin0(x))
        return self.lin2(x + (x.round() - x).detach())""",
    "siamese stop-gradient": """
    def forward(self, a, b):
        one, two = self.lin1(self.lin0(a)), self.lin1(self.lin0(b))
        return -F.cosine_similarity(self.lin2(one), two.detach()).mean()""",
    "stated freezing": """
    def __init__(self):
        super().__init__()
        self.lin0, self.lin1, self.lin2 = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1)
        self.lin0.requires_grad_(False)
        for p in self.lin1.parameters():
            p.requires_grad = False

    def forward(self, x):
        with torch.no_grad():
            x = self.lin1(self.lin0(x))
        return self.lin2(x)""",
    "a method to freeze": """
    def freeze(self):
        for layer in (self.lin0, self.lin1):
            layer.requires_grad_(False)

    def forward(self, x):
        with torch.no_grad():
            x = self.lin1(self.lin0(x))
        return self.lin2(x)""",
    "moving average": """
    @torch.no_grad()
    def update(self):
        for slow, fast in zip(self.lin1.parameters(), self.lin2.parameters()):
            slow.data.mul_(0.99).add_(fast.data, alpha=0.01)

    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            y = self.lin1(x)
        return self.lin2(x) - y""",
    "left on the object alive": """
    def forward(self, x):
        self.hidden = self.lin1(self.lin0(x))
        return self.lin2(self.hidden.detach())""",
    "handed to a list of the caller": """
    def forward(self, x, kept):
        x = self.lin1(self.lin0(x))
        kept.append(x)
        return self.lin2(x.detach())""",
    "handed to a call that is not known": """
    def forward(self, x):
        x = self.lin1(self.lin0(x))
        register_loss(x.mean())
        return self.lin2(x.detach())""",
    "trained in another method": """
    def forward(self, x):
        with torch.no_grad():
            x = self.lin1(self.lin0(x))
        return self.lin2(x)

    def training_step(self, batch):
        return self.lin2(self.lin1(self.lin0(batch))).mean()""",
    "generate": """
    def forward(self, x):
        return self.lin2(self.lin1(self.lin0(x)))

    @torch.no_grad()
    def generate(self, x):
        return self.forward(x).argmax(-1)""",
    "gradients fetched by hand": """
    def forward(self, x):
        with torch.no_grad():
            x = self.lin1(self.lin0(x))
        x.requires_grad_()
        return self.lin2(x)""",
    "shape alone": """
    def forward(self, x):
        x = self.lin1(self.lin0(x))
        return self.lin2(x * float(x.shape[-1]))""",
    "on again inside": """
    def forward(self, x):
        with torch.no_grad():
            with torch.enable_grad():
                x = self.lin1(self.lin0(x))
        return self.lin2(x)""",
}
"""Spellings and intended idioms that must not be warned about."""
