"""Modules that are copies of each other by class and shapes: a target network, a momentum encoder, a teacher."""

from __future__ import annotations

import torch

_CONTAINERS = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)


def find_twins(roots: list[tuple[str, torch.nn.Module]]) -> dict[int, str]:
    """By `id` of a module the name of its first twin: another root, or another child of the same module. Layers of a list are no twins."""
    twins: dict[int, str] = {}
    _pair(roots, twins)
    for prefix, root in roots:
        for path, module in root.named_modules():
            if not isinstance(module, _CONTAINERS):
                name = ".".join(part for part in (prefix, path) if part)
                _pair(
                    [(f"{name}.{child}" if name else child, value) for child, value in module._modules.items() if value is not None], twins
                )
    return twins


def _pair(candidates: list[tuple[str, torch.nn.Module]], twins: dict[int, str]) -> None:
    groups: dict[tuple[object, ...], list[tuple[str, torch.nn.Module]]] = {}
    for name, module in candidates:
        shapes = tuple((path, tuple(parameter.shape)) for path, parameter in module.named_parameters())
        if shapes:
            groups.setdefault((type(module), shapes), []).append((name, module))
    for group in groups.values():
        for _, module in group:
            other = next((name for name, candidate in group if candidate is not module), None)
            if other is not None:
                twins.setdefault(id(module), other)
