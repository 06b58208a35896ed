"""Who is who: the root modules of a program and every trainable leaf with its name, found among what is alive.

Taken while the program still runs (its variables are gone when a `main()` returns), and turned into facts at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from gradflow.capture.facts.definitions import step_into
from gradflow.capture.facts.source import assigned_name
from gradflow.capture.flow.values import Leaf, Trace
from gradflow.capture.training.registry import Registry
from gradflow.graph.recording import Membership

_SKIPPED = frozenset({"_modules", "_parameters", "_buffers", "_parametrizations"})

_PLAIN_VALUES = frozenset({bool, int, float, str, type(None), torch.dtype, torch.device})


@dataclass(slots=True)
class Member:
    """One trainable leaf by name. `leaves` holds several serials where the leaf is made anew in every step."""

    name: str
    root: str
    leaves: list[int]
    membership: Membership
    owner: str = ""
    owner_class: str = ""
    root_module: torch.nn.Module | None = None
    root_serial: int = 0
    path: str = ""
    tensor: torch.Tensor | None = None


@dataclass(slots=True)
class Inventory:
    """All members in order, and the path of every module by serial."""

    members: list[Member] = field(default_factory=list)
    paths: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Root:
    """A module that no other module holds, with parameters that took part in the training; `name` is its variable,
    and `trained` says that it was once seen in train mode at a pass."""

    serial: int
    module: torch.nn.Module
    name: str = ""
    trained: bool = False


def find_roots(registry: Registry, took_part: set[int], trace: Trace) -> list[Root]:
    """The root modules, in the order built. `took_part` holds the serials of leaves that a pass reached or an optimizer holds."""
    live = registry.live()
    inner = {id(child) for _, module in live for child in module._modules.values() if child is not None}
    holding = {id(module): found for _, module in live if (found := hidden_members(module))}
    hidden = {id(value) for found in holding.values() for _, value in found if isinstance(value, torch.nn.Module)}
    roots = []
    for serial, module in live:
        if id(module) in inner or id(module) in hidden:
            continue
        parameters = list(module.parameters())
        if not parameters and not any(id(child) in holding for child in module.modules()):
            continue
        leaves = {leaf.serial for parameter in parameters if (leaf := trace.leaf(parameter)) is not None}
        if registry.modules[serial].called or leaves & took_part or any(registry.was_called(child) for child in module.modules()):
            roots.append(Root(serial, module))
    return [root for root in roots if registry.was_called(root.module) or not _is_part_of_another(root, roots)]


def _is_part_of_another(root: Root, roots: list[Root]) -> bool:
    """Whether another root has all parameters of this one, and more: the module that `torch.jit.script` made another of lives on."""
    own = {id(parameter) for parameter in root.module.parameters()}
    return any(own < {id(parameter) for parameter in other.module.parameters()} for other in roots if other is not root)


def hidden_members(module: torch.nn.Module) -> list[tuple[str, Any]]:
    """(path, module or tensor) that `module` holds in plain attributes, lists and dicts, where `parameters()` does not look."""
    found: list[tuple[str, Any]] = []
    for key, value in list(module.__dict__.items()):
        if type(value) in _PLAIN_VALUES or key in _SKIPPED or key.endswith(("_hooks", "_hooks_with_kwargs")):
            continue
        found.extend(_inside(key, value, 0))
    return found


def _inside(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (torch.nn.Module, torch.Tensor)):
        yield path, value
    elif depth < 3 and isinstance(value, (list, tuple)):
        for index, item in enumerate(value[:1024]):
            yield from _inside(f"{path}[{index}]", item, depth + 1)
    elif depth < 3 and isinstance(value, dict):
        for key, item in list(value.items())[:1024]:
            yield from _inside(f"{path}[{key!r}]", item, depth + 1)


def take_inventory(
    registry: Registry, trace: Trace, roots: list[Root], reached: set[int], held: set[int], loose: dict[int, str], again: set[int]
) -> Inventory:
    """Names every leaf of the roots, those that the roots hide, and those that live in no module at all.

    `reached` and `held` are the serials of leaves that a pass reached, or an optimizer holds, `again` of those that several passes reached;
    `loose` names tensors (by leaf serial).
    """
    inventory = Inventory()
    prefixed = len(roots) > 1
    known: dict[int, Member] = {}
    for root in roots:
        prefix = f"{root.name}." if prefixed and root.name else ""
        for path, module in root.module.named_modules():
            inventory.paths.setdefault(registry.add(module, None), (prefix + _plain(path)).rstrip("."))
        for path, parameter in root.module.named_parameters():
            leaf = trace.leaf(parameter) or trace.add_leaf(parameter, None, 0)
            if leaf.serial in known or isinstance(parameter, UninitializedTensorMixin):
                continue
            member = _member(prefix + _plain(path), root, leaf, Membership.REGISTERED, path, parameter)
            known[leaf.serial] = member
            inventory.members.append(member)
    for root in roots:
        _add_hidden(inventory, known, root, f"{root.name}." if prefixed and root.name else "", registry, trace, reached - held, held)
    _add_recreated(inventory, known, registry, trace, reached, held)
    _add_loose(inventory, known, trace, reached, held, loose, again)
    return inventory


def _plain(path: str) -> str:
    """A path without the prefixes that wrappers add."""
    if path in ("module", "_orig_mod"):
        return ""
    while path.startswith(("module.", "_orig_mod.")):
        path = path.split(".", 1)[1]
    return path.replace("._orig_mod", "").replace("_fsdp_wrapped_module.", "").replace("_checkpoint_wrapped_module.", "")


def _member(name: str, root: Root, leaf: Leaf, membership: Membership, path: str, tensor: torch.Tensor | None) -> Member:
    owner = name.rpartition(".")[0]
    held_by: Any = root.module
    for part in path.replace("[", ".").replace("]", "").split(".")[:-1]:
        held_by = step_into(held_by, part)
    return Member(
        name=name,
        root=root.name or type(root.module).__name__,
        leaves=[leaf.serial],
        membership=membership,
        owner=owner,
        owner_class=type(held_by).__name__ if held_by is not None else "",
        root_module=root.module,
        root_serial=root.serial,
        path=path,
        tensor=tensor,
    )


def _add_hidden(
    inventory: Inventory, known: dict[int, Member], root: Root, prefix: str, registry: Registry, trace: Trace, learning: set[int],
    held: set[int],
) -> None:  # fmt: skip
    for path, module in list(root.module.named_modules()):
        start = (_plain(path) + ".") if path else ""
        for attribute, value in hidden_members(module):
            full = start + attribute
            if isinstance(value, torch.nn.Module):
                for inner_path, inner in value.named_modules():
                    inventory.paths.setdefault(registry.add(inner, None), prefix + full + (f".{inner_path}" if inner_path else ""))
                pairs = [(f"{full}.{name}", parameter) for name, parameter in value.named_parameters()]
            else:
                pairs = [(full, value)]
            for name, tensor in pairs:
                leaf = _leaf_behind(trace, tensor)
                if leaf is None or leaf.serial in known:
                    continue
                membership = Membership.HIDDEN if leaf.serial in learning else Membership.LOOSE
                if membership is Membership.LOOSE and not isinstance(tensor, torch.nn.Parameter) and leaf.serial not in held:
                    continue
                member = _member(prefix + name, root, leaf, membership, (path + "." if path else "") + name[len(start) :], tensor)
                known[leaf.serial] = member
                inventory.members.append(member)


def _leaf_behind(trace: Trace, tensor: torch.Tensor) -> Leaf | None:
    """The leaf that `tensor` is, or from which `.to()` or `.cuda()` made it: an `nn.Parameter(...).to(...)` is no parameter any more."""
    leaf = trace.leaf(tensor)
    if leaf is not None or not tensor.requires_grad:
        return leaf
    ref = trace.values.get(id(tensor))
    step = ref.step if ref is not None and ref() is tensor else None
    while step is not None and not step.leaf:
        if step.name not in ("to", "cuda", "cpu", "float", "half", "double", "bfloat16", "clone", "type", "requires_grad_", "contiguous"):
            return None
        step = step.sources[0] if len(step.sources) == 1 else None
    return None if step is None else trace.leaves.get(step.leaf)


def _add_recreated(
    inventory: Inventory, known: dict[int, Member], registry: Registry, trace: Trace, reached: set[int], held: set[int]
) -> None:
    """Leaves made inside a forward: one member for all that the same call made under the same attribute of the same module."""
    groups: dict[tuple[int, int, str, int], list[Leaf]] = {}
    for serial in sorted(reached - held):
        leaf = trace.leaves[serial]
        if leaf.made_in and leaf.place is not None:
            attribute = leaf.owner[1] if leaf.owner else ""
            groups.setdefault((id(leaf.place.code), leaf.place.instruction, attribute, leaf.made_in), []).append(leaf)
    for leaves in groups.values():
        registered = [known[leaf.serial] for leaf in leaves if leaf.serial in known]
        if registered and len(leaves) < 2:
            continue
        if registered:
            member = registered[0]
            member.leaves = [leaf.serial for leaf in leaves]
            member.membership = Membership.RECREATED
            continue
        leaf = leaves[0]
        variable = assigned_name(leaf.place)
        attribute = leaf.owner[1] if leaf.owner else ""
        owner = inventory.paths.get(leaf.made_in, "")
        name = ".".join(part for part in (owner, variable, attribute if attribute != variable else "") if part)
        member = Member(name or "parameter", "", [leaf.serial for leaf in leaves], Membership.RECREATED, owner)
        for leaf in leaves:
            known[leaf.serial] = member
        inventory.members.append(member)


def _add_loose(
    inventory: Inventory, known: dict[int, Member], trace: Trace, reached: set[int], held: set[int], loose: dict[int, str], again: set[int]
) -> None:
    """Leaves in no module: those that an optimizer holds and a pass reached, and those that the program names and writes by hand, or that
    get a gradient in pass after pass.

    An input that needs a gradient (a penalty, an attack) is data: it is made for one pass, or the program asks for its gradient itself.
    """
    alone = not inventory.members
    for serial in sorted(reached | held):
        leaf = trace.leaves[serial]
        tensor = leaf.ref()
        if serial in known or leaf.made_in or tensor is None:
            continue
        name = loose.get(serial)
        learns = serial in again and not leaf.asked
        if not (serial in held and (serial in reached or name)) and not (name and (alone or leaf.written or learns)):
            continue
        inventory.members.append(Member(name or f"leaf{serial}", "", [serial], Membership.LOOSE, tensor=tensor))
