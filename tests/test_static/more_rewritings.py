"""More spellings of the same fault, written before the analyzer knew them, each a whole file: lin0 -> lin1 -> lin2.

What autograd does with them is asked by `test_agreement.py`; in those of UNSURE the cut depends on what the source does not say.
"""

from __future__ import annotations

HEAD = """\
import contextlib
import functools
from contextlib import contextmanager, ExitStack, nullcontext
from functools import partial, wraps
import numpy as np
import torch
import torch as T
from torch import nn, no_grad as frozen
from torch.nn import functional as F
from torch.nn import Linear, Module
"""

INIT = """
    def __init__(self):
        super().__init__()
        self.lin0 = nn.Linear(2, 3)
        self.lin1 = nn.Linear(3, 3)
        self.lin2 = nn.Linear(3, 1)
"""


def whole(methods: str, before: str = "", init: str = INIT, base: str = "nn.Module") -> str:
    """A file with one class."""
    return f"{HEAD}\n{before}\n\nclass Model({base}):{init}{methods}\n"


BLIND = {
    "ExitStack as a block": whole("""
    def forward(self, x):
        x = self.lin0(x)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(torch.autocast("cpu", enabled=False))
            x = self.lin1(x)
        return self.lin2(x)
"""),
    "own contextmanager with try finally": whole(
        """
    def forward(self, x):
        x = self.lin0(x)
        with off():
            x = self.lin1(x)
        return self.lin2(x)
""",
        """
@contextmanager
def off():
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        yield
    finally:
        torch.set_grad_enabled(before)
""",
    ),
    "own contextmanager as a method": whole("""
    @contextlib.contextmanager
    def quiet(self):
        with torch.no_grad():
            yield self
    def forward(self, x):
        x = self.lin0(x)
        with self.quiet():
            x = self.lin1(x)
        return self.lin2(x)
"""),
    "own decorator with wraps and star args": whole(
        """
    @silent
    def middle(self, x):
        return self.lin1(x)
    def forward(self, x):
        return self.lin2(self.middle(self.lin0(x)))
""",
        """
def silent(function):
    @wraps(function)
    def inner(*args, **kwargs):
        with torch.no_grad():
            return function(*args, **kwargs)
    return inner
""",
    ),
    "decorator factory": whole(
        """
    @without("gradients")
    def middle(self, x):
        return self.lin1(x)
    def forward(self, x):
        return self.lin2(self.middle(self.lin0(x)))
""",
        """
def without(what):
    def decorate(function):
        @functools.wraps(function)
        def inner(self, *args):
            with torch.inference_mode():
                result = function(self, *args)
            return result
        return inner
    return decorate
""",
    ).replace("self.lin2(self.middle", "self.lin2(1 * self.middle"),
    "autograd.set_grad_mode": whole(
        """
    def forward(self, x):
        h = self.lin0(x)
        with torch.autograd.set_grad_mode(False):
            h = self.lin1(h)
        return self.lin2(h)
""".replace("set_grad_mode", "grad_mode.set_grad_enabled")
    ),
    "autograd.no_grad": whole("""
    def forward(self, x):
        h = self.lin0(x)
        with torch.autograd.no_grad():
            h = self.lin1(h)
        return self.lin2(h)
"""),
    "partial of a function that freezes": whole(
        """
    def forward(self, x):
        middle = partial(run, self.lin1)
        return self.lin2(middle(self.lin0(x)))
""",
        """
def run(layer, x):
    with T.no_grad():
        return layer(x)
""",
    ),
    "match on a class constant": whole("""
    MODE = "frozen"
    def forward(self, x):
        x = self.lin0(x)
        match self.MODE:
            case "frozen":
                with torch.no_grad():
                    x = self.lin1(x)
            case _:
                x = self.lin1(x)
        return self.lin2(x)
"""),
    "try finally": whole("""
    def forward(self, x):
        x = self.lin0(x)
        torch.set_grad_enabled(False)
        try:
            x = self.lin1(x)
        finally:
            torch.set_grad_enabled(True)
        return self.lin2(x)
"""),
    "class attribute holds the context": whole("""
    guard = torch.no_grad
    def forward(self, x):
        x = self.lin0(x)
        with self.guard():
            x = self.lin1(x)
        return self.lin2(x)
""")
    .replace("self.guard()", "type(self).guard()")
    .replace("type(self)", "Model"),
    "class attribute is a flag": whole("""
    freeze = True
    def forward(self, x):
        x = self.lin0(x)
        if self.freeze:
            x = self.lin1(x).detach()
        else:
            x = self.lin1(x)
        return self.lin2(x)
"""),
    "super forward under no_grad": whole(
        """
    def forward(self, x):
        with torch.no_grad():
            h = super().forward(x)
        return self.lin2(h)
""",
        """
class Stem(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin0, self.lin1 = nn.Linear(2, 3), nn.Linear(3, 3)
    def forward(self, x):
        return self.lin1(torch.relu(self.lin0(x)))
""",
        """
    def __init__(self):
        super().__init__()
        self.lin2 = nn.Linear(3, 1)
""",
        "Stem",
    ),
    "mixin overrides call of a layer": whole(
        """
    def forward(self, x):
        return self.lin2(self.apply_layer("lin1", self.lin0(x)))
""",
        """
class Quiet:
    def apply_layer(self, name, x):
        with torch.no_grad():
            return getattr(self, name)(x)
""",
        INIT,
        "Quiet, nn.Module",
    ),
    "property that returns a layer": whole("""
    @property
    def middle(self):
        return self.lin1
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            x = self.middle(x)
        return self.lin2(x)
"""),
    "__call__ overridden": whole("""
    def __call__(self, x):
        with torch.no_grad():
            h = self.lin1(self.lin0(x))
        return super().__call__(h)
    def forward(self, x):
        return self.lin2(x)
"""),
    "generator of layers": whole("""
    def steps(self):
        yield self.lin0
        yield self.lin1
    def forward(self, x):
        with torch.no_grad():
            for layer in self.steps():
                x = layer(x)
        return self.lin2(x)
"""),
    "generator that computes": whole("""
    def features(self, x):
        with torch.no_grad():
            x = self.lin0(x)
            yield x
            yield self.lin1(x)
    def forward(self, x):
        a, b = self.features(x)
        return self.lin2(a + b)
"""),
    "lambda with data": whole("""
    def forward(self, x):
        cut = lambda t: t.data
        return self.lin2(cut(self.lin1(self.lin0(x))))
"""),
    "comprehension over layers": whole("""
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad():
            parts = [layer(x) for layer in (self.lin1, self.lin1)]
        return self.lin2(sum(parts))
"""),
    "zip over layers and scales": whole("""
    def forward(self, x):
        with torch.no_grad():
            for layer, scale in zip((self.lin0, self.lin1), (0.5, 2.0)):
                x = layer(x) * scale
        return self.lin2(x)
"""),
    "enumerate with a branch": whole("""
    def forward(self, x):
        for i, layer in enumerate([self.lin0, self.lin1, self.lin2]):
            x = layer(x)
            if i == 1:
                x = x.detach()
        return x
"""),
    "dict dispatch": whole("""
    def forward(self, x):
        table = {"open": self._open, "shut": self._shut}
        return self.lin2(table["shut"](self.lin0(x)))
    def _open(self, x):
        return self.lin1(x)
    def _shut(self, x):
        with torch.no_grad():
            return self.lin1(x)
"""),
    "walrus in a condition": whole("""
    def forward(self, x):
        if (h := self.lin1(self.lin0(x)).detach()).shape[0] > 0:
            return self.lin2(h)
        return self.lin2(h * 2)
"""),
    "star arguments": whole("""
    def forward(self, *inputs):
        h = [self.lin0(*inputs)]
        with torch.no_grad():
            h = self.lin1(*h)
        return self.lin2(*[h])
"""),
    "double star arguments": whole("""
    def forward(self, x):
        kwargs = dict(input=self.lin0(x))
        with torch.no_grad():
            kwargs["input"] = self.lin1(**kwargs)
        return self.lin2(**kwargs)
"""),
    "setattr of the hidden value": whole("""
    def forward(self, x):
        setattr(self, "hidden", self.lin1(self.lin0(x)).detach())
        return self.lin2(self.hidden)
"""),
    "getattr of the method": whole("""
    def forward(self, x):
        h = self.lin1(self.lin0(x))
        return self.lin2(getattr(h, "detach")())
"""),
    "getattr of no_grad": whole("""
    def forward(self, x):
        x = self.lin0(x)
        with getattr(torch, "no_grad")():
            x = self.lin1(x)
        return self.lin2(x)
"""),
    "slices of a Sequential": whole(
        """
    def forward(self, x):
        with torch.no_grad():
            x = self.net[:2](x)
        return self.net[2:](x)
""",
        "",
        """
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1))
""",
    ),
    "F.linear with the weights": whole("""
    def forward(self, x):
        h = self.lin0(x)
        with torch.no_grad():
            h = F.linear(h, self.lin1.weight, self.lin1.bias)
        return F.linear(h, self.lin2.weight, self.lin2.bias)
"""),
    "no_grad under another name": whole("""
    def forward(self, x):
        x = self.lin0(x)
        with frozen():
            x = self.lin1(x)
        return self.lin2(x)
"""),
    "conditional context that is always off": whole("""
    def forward(self, x):
        x = self.lin0(x)
        with torch.no_grad() if True else nullcontext():
            x = self.lin1(x)
        return self.lin2(x)
"""),
    "inference mode as a decorator of a nested function": whole("""
    def forward(self, x):
        @torch.inference_mode()
        def run(h):
            return self.lin1(h)
        return self.lin2(run(self.lin0(x)).clone())
"""),
    "detach_ in a statement": whole("""
    def forward(self, x):
        h = self.lin1(self.lin0(x))
        h.detach_()
        return self.lin2(h)
"""),
    "data in a chain": whole("""
    def forward(self, x):
        h = torch.relu(self.lin1(torch.relu(self.lin0(x)))).data.clone()
        return self.lin2(h)
"""),
    "numpy and back in a helper": whole("""
    def host(self, t):
        a = t.detach().cpu().numpy()
        a = np.maximum(a, 0)
        return torch.as_tensor(a)
    def forward(self, x):
        return self.lin2(self.host(self.lin1(self.lin0(x))))
"""),
    "new leaf that requires grad": whole("""
    def forward(self, x):
        h = torch.tensor(self.lin1(self.lin0(x)).tolist())
        return self.lin2(h)
"""),
    "no_grad called on a function": whole("""
    def forward(self, x):
        return self.lin2(torch.no_grad()(self.lin1)(self.lin0(x)))
"""),
    "wrapped method in init": whole(
        """
    def _mid(self, x):
        return self.lin1(x)
    def forward(self, x):
        return self.lin2(self.mid(self.lin0(x)))
""",
        "",
        INIT
        + """        self.mid = torch.no_grad()(self._mid)
""",
    ),
    "context object with enter and exit": whole("""
    def forward(self, x):
        x = self.lin0(x)
        guard = torch.no_grad()
        guard.__enter__()
        x = self.lin1(x)
        guard.__exit__(None, None, None)
        return self.lin2(x)
"""),
    "own context class that keeps the mode": whole(
        """
    def forward(self, x):
        x = self.lin0(x)
        with Off() as _:
            x = self.lin1(x)
        return self.lin2(x)
""",
        """
class Off:
    def __enter__(self):
        self.before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        return self
    def __exit__(self, *exc):
        torch._C._set_grad_enabled(self.before)
        return False
""",
    ),
    "subclass of no_grad": whole(
        """
    def forward(self, x):
        x = self.lin0(x)
        with Hush():
            x = self.lin1(x)
        return self.lin2(x)
""",
        """
class Hush(torch.no_grad):
    purpose = "says what it is for"
""",
    ),
    "ContextDecorator": whole(
        """
    @Off()
    def middle(self, x):
        return self.lin1(x)
    def forward(self, x):
        return self.lin2(self.middle(self.lin0(x)))
""",
        """
class Off(contextlib.ContextDecorator):
    def __enter__(self):
        self.mode = torch.no_grad()
        self.mode.__enter__()
        return self
    def __exit__(self, *exc):
        self.mode.__exit__(*exc)
""",
    ),
    "reduce over layers": whole("""
    def forward(self, x):
        with torch.no_grad():
            x = functools.reduce(lambda h, layer: layer(h), [self.lin0, self.lin1], x)
        return self.lin2(x)
"""),
    "map over layers": whole("""
    def forward(self, x):
        with torch.no_grad():
            h = self.lin0(x)
            (h,) = map(self.lin1, [h])
        return self.lin2(h)
"""),
    "tuple with star unpacking": whole("""
    def forward(self, x):
        first, *rest = self.lin0, self.lin1
        x = first(x)
        with torch.no_grad():
            for layer in rest:
                x = layer(x)
        return self.lin2(x)
"""),
    "inner module with its own no_grad": whole(
        """
    def forward(self, x):
        return self.lin2(self.mid(self.lin0(x)))
""",
        """
class Mid(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.lin1 = nn.Linear(width, width)
    def forward(self, x):
        with torch.no_grad():
            return self.lin1(x)
""",
        """
    def __init__(self):
        super().__init__()
        self.lin0 = nn.Linear(2, 3)
        self.mid = Mid(3)
        self.lin2 = nn.Linear(3, 1)
""",
    ),
    "index by argmax": whole("""
    def forward(self, x):
        table = torch.eye(3)
        return self.lin2(table[self.lin1(self.lin0(x)).argmax(-1)])
"""),
    "dataclass that carries the value": whole(
        """
    def forward(self, x):
        h = Hidden(value=self.lin1(self.lin0(x)).detach())
        return self.lin2(h.value)
""",
        """
from dataclasses import dataclass

@dataclass
class Hidden:
    value: torch.Tensor
""",
    ),
    "loop with break": whole("""
    def forward(self, x):
        x = self.lin0(x)
        while True:
            with torch.no_grad():
                x = self.lin1(x)
                if x.shape[0] > 0:
                    break
        return self.lin2(x)
"""),
    "one_hot of a threshold": whole("""
    def forward(self, x):
        gate = (self.lin1(self.lin0(x)) > 0).float()
        return self.lin2(gate)
"""),
    "module level function with a global layer list": whole(
        """
    def forward(self, x):
        h = encode((self.lin0, self.lin1), x)
        return self.lin2(h)
""",
        """
@torch.no_grad()
def encode(layers, x):
    for layer in layers:
        x = layer(x)
    return x
""",
    ),
    "closure over a nonlocal": whole("""
    def forward(self, x):
        h = None
        def fill():
            nonlocal h
            with torch.no_grad():
                h = self.lin1(self.lin0(x))
        fill()
        return self.lin2(h)
"""),
    "with as part of a parenthesised list": whole("""
    def forward(self, x):
        x = self.lin0(x)
        with (
            torch.no_grad(),
            torch.autocast("cpu", enabled=False),
        ):
            x = self.lin1(x)
        return self.lin2(x)
"""),
    "del and rebind": whole("""
    def forward(self, x):
        h = self.lin0(x)
        z = self.lin1(h).detach()
        del h
        h = z
        return self.lin2(h)
"""),
    "bare annotation and aug assign": whole("""
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h: torch.Tensor = self.lin1(self.lin0(x)).detach()
        h += 1
        h *= 2.0
        return self.lin2(h)
"""),
    "assert and raise in the way": whole("""
    def forward(self, x):
        h = self.lin0(x)
        assert h.ndim == 2, "two dimensions"
        if h.shape[-1] != 3:
            raise ValueError(h.shape)
        with torch.no_grad():
            h = self.lin1(h)
        return self.lin2(h)
"""),
}

UNSURE = {
    "constructor flag, if": (
        whole(
            """
    def forward(self, x):
        x = self.lin0(x)
        if self.freeze:
            with torch.no_grad():
                x = self.lin1(x)
        else:
            x = self.lin1(x)
        return self.lin2(x)
""",
            "",
            """
    def __init__(self, freeze=False):
        super().__init__()
        self.freeze = freeze
        self.lin0, self.lin1, self.lin2 = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1)
""",
        )
    ),
    "constructor flag, set_grad_enabled": (
        whole(
            """
    def forward(self, x):
        x = self.lin0(x)
        with torch.set_grad_enabled(not self.freeze):
            x = self.lin1(x)
        return self.lin2(x)
""",
            "",
            """
    def __init__(self, freeze=True):
        super().__init__()
        self.freeze = freeze
        self.lin0, self.lin1, self.lin2 = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1)
""",
        )
    ),
    "forward flag, ExitStack": whole("""
    def forward(self, x, flag=True):
        x = self.lin0(x)
        with ExitStack() as stack:
            if flag:
                stack.enter_context(torch.no_grad())
            x = self.lin1(x)
        return self.lin2(x)
"""),
    "forward flag, conditional context": whole("""
    def forward(self, x, flag=True):
        x = self.lin0(x)
        with torch.no_grad() if flag else nullcontext():
            x = self.lin1(x)
        return self.lin2(x)
"""),
    "forward flag, detach in an expression": whole("""
    def forward(self, x, flag=True):
        h = self.lin1(self.lin0(x))
        return self.lin2(h.detach() if flag else h)
"""),
    "config object": whole(
        """
    def forward(self, x):
        h = self.lin1(self.lin0(x))
        if self.config.stop_gradient:
            h = h.detach()
        return self.lin2(h)
""",
        """
class Config:
    def __init__(self, stop_gradient=True):
        self.stop_gradient = stop_gradient
""",
        """
    def __init__(self, flag=True):
        super().__init__()
        self.config = Config(flag)
        self.lin0, self.lin1, self.lin2 = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1)
""",
    ),
    "environment": whole(
        """
    def forward(self, x):
        h = self.lin0(x)
        with torch.set_grad_enabled(os.environ.get("TRAIN_MIDDLE") == "1"):
            h = self.lin1(h)
        return self.lin2(h)
""",
        "import os",
    ),
    "training flag": whole("""
    def forward(self, x):
        h = self.lin0(x)
        with torch.set_grad_enabled(self.training):
            h = self.lin1(h)
        return self.lin2(h)
"""),
    "random choice": whole("""
    def forward(self, x):
        h = self.lin1(self.lin0(x))
        if torch.rand(()) < 0.5:
            h = h.detach()
        return self.lin2(h)
"""),
    "inference_mode of a flag": whole("""
    def forward(self, x, flag=True):
        h = self.lin0(x)
        with torch.inference_mode(flag):
            h = self.lin1(h)
        return self.lin2(h.clone())
"""),
    "loop that may skip the block": whole("""
    def forward(self, x, flag=0):
        h = self.lin1(self.lin0(x))
        for _ in range(int(flag)):
            h = h.detach()
        return self.lin2(h)
"""),
    "match of an argument": whole("""
    def forward(self, x, flag="a"):
        h = self.lin1(self.lin0(x))
        match flag:
            case "a" | True:
                h = h.detach()
            case _:
                h = h * 1.0
        return self.lin2(h)
"""),
    "dict dispatch by an argument": whole("""
    def forward(self, x, flag=True):
        table = {True: self._shut, False: self.lin1}
        return self.lin2(table[flag](self.lin0(x)))
    def _shut(self, x):
        with torch.no_grad():
            return self.lin1(x)
"""),
    "decorator factory with a flag of the constructor": whole(
        """
    def forward(self, x):
        run = torch.no_grad()(self.lin1) if self.freeze else self.lin1
        return self.lin2(run(self.lin0(x)))
""",
        "",
        """
    def __init__(self, freeze=False):
        super().__init__()
        self.freeze = freeze
        self.lin0, self.lin1, self.lin2 = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1)
""",
    ),
    "toggled by a method": whole(
        """
    def freeze_middle(self, on=True):
        self.shut = on
    def forward(self, x):
        h = self.lin1(self.lin0(x))
        return self.lin2(h.detach() if self.shut else h)
""",
        "",
        INIT
        + """        self.shut = True
""",
    ),
    "residual way round": whole("""
    def forward(self, x):
        h = self.lin0(x)
        with torch.no_grad():
            m = self.lin1(h)
        return self.lin2(h + m) + self.lin2(self.lin1(h))
"""),
    "stated freezing by a loop": whole(
        """
    def forward(self, x):
        with torch.no_grad():
            h = self.lin1(self.lin0(x))
        return self.lin2(h)
""",
        "",
        INIT
        + """        for layer in (self.lin0, self.lin1):
            for p in layer.parameters():
                p.requires_grad = False
""",
    ),
    "enable_grad inside": whole("""
    def forward(self, x):
        with torch.no_grad():
            with torch.enable_grad():
                h = self.lin1(self.lin0(x))
        return self.lin2(h)
"""),
    "warm-up by a counter": whole(
        """
    def forward(self, x):
        self.step += 1
        h = self.lin1(self.lin0(x))
        if self.step < 3:
            h = h.detach()
        return self.lin2(h)
""",
        "",
        INIT
        + """        self.step = 0
""",
    ),
    "try or else": whole("""
    def forward(self, x, flag=True):
        h = self.lin0(x)
        try:
            h = self.lin1(h)
            if flag:
                raise ValueError
        except ValueError:
            h = h.detach()
        return self.lin2(h)
"""),
    "short circuit": whole("""
    def forward(self, x, flag=None):
        h = self.lin1(self.lin0(x))
        h = flag and h.detach() or h
        return self.lin2(h)
""").replace("flag and h.detach() or h", "(flag and [h.detach()] or [h])[0]"),
    "subclass turns it off": whole("""
    freeze = True
    def forward(self, x):
        h = self.lin1(self.lin0(x))
        return self.lin2(h.detach() if self.freeze else h)

class Trained(Model):
    freeze = False
"""),
    "detach only beyond a length": whole("""
    def forward(self, x):
        h = self.lin1(self.lin0(x))
        if x.shape[0] > 1000:
            h = h.detach()
        return self.lin2(h)
"""),
}
