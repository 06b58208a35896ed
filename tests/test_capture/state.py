"""What gradflow could disturb, in forms that can be compared before and after."""

from __future__ import annotations

import copy
import random
import threading
from typing import Any

import numpy as np
import torch
import torch.utils.checkpoint
from torch import nn
from torch.nn.modules import module as module_globals
from torch.optim import optimizer as optimizer_globals


def same(left: Any, right: Any) -> bool:
    """Equal in every bit, through dicts and lists."""
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def random_state() -> list[Any]:
    """The state of the three random sources, comparable with `same`."""
    kind, keys, *rest = np.random.get_state()
    return [torch.get_rng_state(), random.getstate(), kind, keys.tolist(), rest]


def hooks(model: nn.Module) -> list[Any]:
    """Every hook of every submodule, parameter, optimizer class and of torch itself, by identity."""
    tables: list[Any] = []
    for part in model.modules():
        tables += [(name, list(table.items())) for name, table in sorted(vars(part).items()) if name.endswith("_hooks")]
    for parameter in model.parameters():
        tables.append([dict(parameter._backward_hooks or {}), dict(parameter._post_accumulate_grad_hooks or {})])
    for home in (module_globals, optimizer_globals):
        tables += [(name, list(table.items())) for name, table in sorted(vars(home).items()) if name.startswith("_global_") and table]
    return tables


def callables() -> dict[str, Any]:
    """What a recorder may patch, by identity of what stands in each class or module."""
    homes = {
        "Parameter": nn.Parameter,
        "Module": nn.Module,
        "Optimizer": torch.optim.Optimizer,
        "inference_mode": torch.inference_mode,
        "no_grad": torch.no_grad,
        "set_grad_enabled": torch.set_grad_enabled,
        "Thread": threading.Thread,
        "Tensor": torch.Tensor,
        "Function": torch.autograd.Function,
        "torch": torch,
        "numpy": np,
        "copy": copy,
        "autograd": torch.autograd,
        "autograd.graph": torch.autograd.graph,
        "checkpoint": torch.utils.checkpoint,
    }
    return {f"{home}.{name}": value for home, owner in homes.items() for name, value in vars(owner).items() if callable(value)}
