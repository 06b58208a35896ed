"""What `lint` says of a class is what torch does with it: the same texts are run, and autograd is asked."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from more_rewritings import BLIND, UNSURE
from read_files import findings_of
from rewritings import BASES, BEFORE, CERTAIN, HEAD, INIT, LAYERS_IN_CONTAINERS, NOT_CERTAIN, model

GIVEN = {"flag": True, "scale": 2.0, "mode": "a", "freeze": False, "kept": [], "xs": None, "a": None, "b": None}

TEXTS = {
    **{name: model(methods) for name, methods in CERTAIN.items()},
    **{
        f"before: {name}": model(methods, before=before).replace("Model(nn.Module)", f"Model({BASES.get(name, 'nn.Module')})")
        for name, (before, methods) in BEFORE.items()
    },
    **{
        f"not certain: {name}": model(methods, init="" if "__init__" in methods else INIT)
        for name, methods in NOT_CERTAIN.items()
        if name != "handed to a call that is not known"
    },
    **{f"other words: {name}": text for name, text in BLIND.items()},
    **{f"not certain: other words: {name}": text for name, text in UNSURE.items()},
    **{
        f"layers: {name}": f"{HEAD}\nclass Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 1)\n        {build}\n\n    def forward(self, x):\n"
        f"        x = self.first(x)\n        with torch.no_grad():\n            {call}\n        return self.last(x)\n"
        for name, (build, call) in LAYERS_IN_CONTAINERS.items()
    },
}


def tensors_in(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value] if value.is_floating_point() else []
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for entry in inside for tensor in tensors_in(entry)]


def learning(text: str) -> tuple[set[str], set[str]]:
    """Names of the parameters that get a gradient from the sum of all that `forward` returns, and of those that get none."""
    space: dict[str, Any] = {"__name__": "text"}
    exec(compile(text, "text.py", "exec"), space)
    torch.manual_seed(0)
    net = space["Model"]()
    size = 2 if "lin0" in dict(net.named_children()) or hasattr(net, "net") else next(net.parameters()).shape[-1]
    x = torch.randn(4, size)
    names = [name for name, entry in inspect.signature(net.forward).parameters.items() if entry.kind is not entry.VAR_POSITIONAL]
    arguments = {name: GIVEN.get(name) if GIVEN.get(name) is not None else [x] if name == "xs" else x for name in names}
    try:
        loss = sum(tensor.sum() for tensor in tensors_in(net(**arguments) if arguments else net(x)))
        assert isinstance(loss, torch.Tensor)
        loss.backward()
    finally:
        torch.set_grad_enabled(True)
    with_gradient = {name for name, parameter in net.named_parameters() if parameter.grad is not None}
    return with_gradient, {name for name, _ in net.named_parameters()} - with_gradient


def lies_below(path: str, parameter: str) -> bool:
    """Whether the name of a parameter is a path that lint gives, or one below it."""
    return re.fullmatch(re.escape(path).replace(r"\*", "[^.]+") + r"(?:\..*)?", parameter) is not None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_severed_in_the_source_gets_no_gradient_in_a_run(name: str, tmp_path: Path) -> None:
    # What holds under a condition only is said as such.
    found = [finding for finding in findings_of(TEXTS[name], tmp_path) if finding.code == "GF101" and "` when `" not in finding.message]
    said = {path for finding in found for path in finding.parameters}
    alive, dead = learning(TEXTS[name])
    assert [parameter for parameter in alive if any(lies_below(path, parameter) for path in said)] == []
    if not name.startswith("not certain"):
        assert said and all(any(lies_below(path, parameter) for parameter in dead) for path in said if "*" not in path)
