"""Walks autograd's own graph from the roots of one backward pass, into flat arrays, by a loop.

Node wrappers are held while the walk runs: without that their identities are recycled and a walk finds a handful of nodes. What stays
afterwards is numbers and names.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

_NEVER = 2**64 - 1  # AccumulateGrad's sequence number, as an unsigned integer


@dataclass(slots=True)
class Walk:
    """Nodes in the order found. `names[kinds[i]]` is the name of node i, `sequences[i]` its sequence number (-1 for AccumulateGrad);
    `heads[k] -> tails[k]` are its edges towards the leaves. `leaves` are the tensors into which gradients accumulate, `leaf_nodes` their
    nodes, `leaf_serials` the serials that the trace gave them (0: none).
    `functions` are the backward nodes of custom Functions, held only until the backward pass has run."""

    names: list[str] = field(default_factory=list)
    kinds: array[int] = field(default_factory=lambda: array("i"))
    sequences: array[int] = field(default_factory=lambda: array("q"))
    heads: array[int] = field(default_factory=lambda: array("i"))
    tails: array[int] = field(default_factory=lambda: array("i"))
    leaves: list[torch.Tensor] = field(default_factory=list)
    leaf_nodes: array[int] = field(default_factory=lambda: array("i"))
    leaf_serials: array[int] = field(default_factory=lambda: array("q"))
    functions: list[Any] = field(default_factory=list)


def walk(roots: Iterable[Any]) -> Walk:
    """The graph below `roots` (autograd nodes). About 0.8 us a node."""
    found = Walk()
    numbers: dict[Any, int] = {}
    order: list[Any] = []
    for root in roots:
        if root is not None and root not in numbers:
            numbers[root] = len(order)
            order.append(root)
    heads, tails, sequences, kinds = found.heads, found.tails, found.sequences, found.kinds
    kind_of: dict[type, int] = {}
    accumulates: list[bool] = []
    custom: list[bool] = []
    number = 0
    while number < len(order):
        node = order[number]
        cls = type(node)
        kind = kind_of.get(cls)
        if kind is None:
            kind = kind_of[cls] = len(found.names)
            found.names.append(node.name())
            accumulates.append(found.names[kind].endswith("AccumulateGrad"))
            custom.append(isinstance(node, torch.autograd.function.BackwardCFunction))
        kinds.append(kind)
        if accumulates[kind]:
            found.leaves.append(node.variable)
            found.leaf_nodes.append(number)
            sequences.append(-1)
            number += 1
            continue
        sequences.append(node._sequence_nr())
        if custom[kind]:
            found.functions.append(node)
        for target, _ in node.next_functions:
            if target is not None:
                index = numbers.get(target)
                if index is None:
                    index = numbers[target] = len(order)
                    order.append(target)
                heads.append(number)
                tails.append(index)
        number += 1
    return found


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
