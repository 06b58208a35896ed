"""Walks autograd's own graph from the roots of one backward pass, into flat arrays, by a loop.

Node wrappers are held while the walk runs: without that their identities are recycled and a walk finds a handful of nodes. What stays
afterwards is numbers and names.
"""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

DEEP = 10_000
"""Nodes from which on a graph may be too deep to be freed with the usual stack."""
_STACK = 1 << 30


@dataclass(slots=True)
class Walk:
    """Nodes in the order found. `names[kinds[i]]` is the name of node i, `sequences[i]` its sequence number (-1 for AccumulateGrad);
    `heads[k] -> tails[k]` are its edges towards the leaves. `leaves` are the tensors into which gradients accumulate, `leaf_nodes` their
    nodes, `leaf_serials` the serials that the trace gave them (0: none).
    `nodes` are the backward nodes themselves and `functions` those of custom Functions, held only until the
    backward pass has run."""

    names: list[str] = field(default_factory=list)
    kinds: array[int] = field(default_factory=lambda: array("i"))
    sequences: array[int] = field(default_factory=lambda: array("q"))
    heads: array[int] = field(default_factory=lambda: array("i"))
    tails: array[int] = field(default_factory=lambda: array("i"))
    leaves: list[torch.Tensor] = field(default_factory=list)
    leaf_nodes: array[int] = field(default_factory=lambda: array("i"))
    leaf_serials: array[int] = field(default_factory=lambda: array("q"))
    nodes: list[Any] = field(default_factory=list)
    functions: list[Any] = field(default_factory=list)


def walk(roots: Iterable[Any]) -> Walk:
    """The graph below `roots` (autograd nodes). About 1 us a node."""
    # A million new wrappers would make the collector look at all of them again and again, and none of them is garbage.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _walk(roots)
    finally:
        if collecting:
            gc.enable()


def _walk(roots: Iterable[Any]) -> Walk:
    found = Walk()
    numbers: dict[Any, int] = {}
    for root in roots:
        if root is not None:
            numbers.setdefault(root, len(numbers))
    order = list(numbers)
    kind_of: dict[type, int] = {}
    plain: list[bool] = []
    find, meet, add_head, add_tail = numbers.get, order.append, found.heads.append, found.tails.append
    add_kind, add_sequence = found.kinds.append, found.sequences.append
    # `order` grows while it is walked: a node is met once, and looked at once.
    for number, node in enumerate(order):
        kind = kind_of.get(type(node), -1)
        if kind < 0:
            kind = kind_of[type(node)] = len(found.names)
            found.names.append(node.name())
            plain.append(not isinstance(node, torch.autograd.function.BackwardCFunction) and not _accumulates(node))
        add_kind(kind)
        if not plain[kind]:
            if _accumulates(node):
                found.leaves.append(node.variable)
                found.leaf_nodes.append(number)
                add_sequence(-1)
                continue
            found.functions.append(node)
        add_sequence(node._sequence_nr())
        for target, _ in node.next_functions:
            if target is not None:
                index = find(target, -1)
                if index < 0:
                    index = numbers[target] = len(order)
                    meet(target)
                add_head(number)
                add_tail(index)
    found.nodes = order
    if len(order) > DEEP:
        allow_deep_graphs()
    return found


def _accumulates(node: Any) -> bool:
    return hasattr(node, "variable")


def allow_deep_graphs() -> None:
    """Lets the stack grow to 1 GiB where the system allows it: a graph whose nodes Python has met is freed by recursion (torch 2.13), and
    a chain of some 40,000 of them overflows the usual 8 MiB. The limit counts at the moment of growth, so raising it now is enough."""
    if sys.platform == "win32":
        return
    # Not on Windows, and needed only here.
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK if hard == resource.RLIM_INFINITY else min(_STACK, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))


def border(outputs: Iterable[torch.Tensor], first: int) -> tuple[set[Any], set[int]]:
    """What the autograd nodes born since sequence number `first` lead to: (older nodes, identities of leaves)."""
    nodes: set[Any] = set()
    leaves: set[int] = set()
    stack = [value.grad_fn for value in outputs if value.grad_fn is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            leaves.add(id(variable))
        elif node._sequence_nr() < first:
            nodes.add(node)
        else:
            for below, _ in node.next_functions:
                if below is not None and below not in seen:
                    seen.add(below)
                    stack.append(below)
    return nodes, leaves
