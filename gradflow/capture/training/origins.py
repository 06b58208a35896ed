"""Finds the operation at which a gradient becomes zero, NaN or Inf on its way back: hooks on every backward node of one pass.

A pass is looked at where an earlier one brought such a gradient, and the first one always. What is measured is the largest absolute value
of each outgoing gradient, one pass over its memory; it neither overflows nor underflows, and NaN goes through it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from gradflow.capture.training.autograd_walk import Walk
from gradflow.graph.recording import Operand, Trouble

NODES_AT_MOST = 20_000
"""Larger graphs are not looked at: a hook costs some 10 us."""

_FLAT = ("Sign", "Round", "Floor", "Ceil", "Trunc", "Heaviside", "Fill", "Zero")
_FACTORS = ("Mul", "Div", "Where", "MaskedFill")
_NORMALISING = ("Softmax", "Norm", "Std", "Var")
_RECURRENT = ("Rnn", "Lstm", "Gru")
_SUMMING = (
    "Mean", "Sum", "Add", "Sub", "Neg", "Stack", "Cat", "View", "Unsqueeze", "Squeeze", "Reshape", "Expand", "Unbind", "Select", "ToCopy",
    "Permute", "Transpose", "T", "Mul", "Div",
)  # fmt: skip


@dataclass(slots=True)
class Origin:
    """One origin in one pass: the backward node (its number in the walk), and the leaves (serials) whose gradient it spoils."""

    trouble: Trouble
    node: int
    sequence: int
    name: str
    leaves: set[int]
    operand: Operand = Operand.PARAMETER
    satisfied: bool = False
    forward_finite: bool = True


@dataclass(slots=True)
class _Edge:
    head: int
    slot: int
    tail: int


@dataclass(slots=True)
class OriginWatch:
    """Listens to one pass. `close()` takes the hooks away, `origins()` tells what they heard."""

    walk: Walk
    nodes: list[Any]
    forward_finite: bool
    _sizes: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)
    _operands: dict[int, Operand] = field(default_factory=dict)
    _handles: list[Any] = field(default_factory=list)

    def listen(self) -> OriginWatch:
        """Puts a hook on every node that hands gradients on."""
        for number, node in enumerate(self.nodes):
            if self.walk.sequences[number] >= 0:
                self._handles.append(node.register_hook(_Listener(self, number)))
                name = node.name()
                if name.startswith((*_FLAT, *_FACTORS)) or any(word in name for word in (*_NORMALISING, *_RECURRENT)):
                    # Before the node runs: afterwards its saved tensors are gone.
                    self._handles.append(node.register_prehook(_OperandReader(self, number, name)))
        return self

    def close(self) -> None:
        """Takes the hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def origins(self) -> list[Origin]:
        """The origins of zero and of non-finite gradients, in the order of the walk."""
        edges = self._edges()
        sizes = self._numbers(edges)
        into: dict[int, list[_Edge]] = {}
        for edge in edges:
            into.setdefault(edge.tail, []).append(edge)
        found: dict[tuple[Trouble, int], Origin] = {}
        for node, serial in zip(self.walk.leaf_nodes, self.walk.leaf_serials, strict=True):
            if not serial:
                continue
            for trouble, spoiled in ((Trouble.ZERO, _is_zero), (Trouble.NONFINITE, _is_bad)):
                for number in _first_spoilers(node, into, sizes, spoiled, every=trouble is Trouble.ZERO):
                    found.setdefault((trouble, number), self._origin(trouble, number, into)).leaves.add(serial)
        self.nodes.clear()
        return [found[key] for key in sorted(found, key=lambda key: (key[0].value, key[1]))]

    def _edges(self) -> list[_Edge]:
        numbers = {node: number for number, node in enumerate(self.nodes)}
        return [
            _Edge(number, slot, numbers[target])
            for number, node in enumerate(self.nodes)
            if self.walk.sequences[number] >= 0
            for slot, (target, _) in enumerate(node.next_functions)
            if target is not None
        ]

    def _numbers(self, edges: list[_Edge]) -> dict[tuple[int, int], float]:
        keys = [(edge.head, edge.slot) for edge in edges if (edge.head, edge.slot) in self._sizes]
        if not keys:
            return {}
        groups: dict[torch.device, list[tuple[int, int]]] = {}
        for key in keys:
            groups.setdefault(self._sizes[key].device, []).append(key)
        values: dict[tuple[int, int], float] = {}
        for group in groups.values():
            values.update(zip(group, torch.stack([self._sizes[key].double() for key in group]).tolist(), strict=True))
        self._sizes.clear()
        return values

    def _origin(self, trouble: Trouble, number: int, into: dict[int, list[_Edge]]) -> Origin:
        name = self.walk.names[self.walk.kinds[number]]
        return Origin(
            trouble=trouble,
            node=number,
            sequence=self.walk.sequences[number],
            name=name,
            leaves=set(),
            operand=self._operands.get(number, Operand.PARAMETER),
            satisfied=trouble is Trouble.ZERO and self._only_summed(number, into),
            forward_finite=self.forward_finite,
        )

    def _only_summed(self, number: int, into: dict[int, list[_Edge]]) -> bool:
        """Whether the value of a hinge goes into the loss by sums alone, so that zero means that the hinge is met."""
        if not self.walk.names[self.walk.kinds[number]].startswith(("Relu", "Clamp", "Threshold", "Maximum", "Max", "Hardtanh")):
            return False
        seen, stack = {number}, [number]
        while stack:
            for edge in into.get(stack.pop(), ()):
                name = self.walk.names[self.walk.kinds[edge.head]]
                if name.rstrip("0123456789").removesuffix("Backward") not in _SUMMING:
                    return False
                if edge.head not in seen:
                    seen.add(edge.head)
                    stack.append(edge.head)
        return True


class _Listener:
    """The hook of one node."""

    def __init__(self, watch: OriginWatch, number: int) -> None:
        self.watch = watch
        self.number = number

    def __call__(self, grad_inputs: tuple[Any, ...], grad_outputs: tuple[Any, ...]) -> None:
        for slot, grad in enumerate(grad_inputs):
            if isinstance(grad, torch.Tensor) and grad.numel():
                value = grad.coalesce().values() if grad.is_sparse else grad
                if value.numel() and (value.is_floating_point() or value.is_complex()):
                    self.watch._sizes[self.number, slot] = torch.linalg.vector_norm(value.detach(), math.inf)


class _OperandReader:
    """The hook before one node that reads what could make its derivative zero."""

    def __init__(self, watch: OriginWatch, number: int, name: str) -> None:
        self.watch = watch
        self.number = number
        self.name = name

    def __call__(self, grad_outputs: tuple[Any, ...]) -> None:
        operand = _operand(self.name, self.watch.nodes[self.number], grad_outputs)
        if operand is not None:
            self.watch._operands[self.number] = operand


def _operand(name: str, node: Any, grad_outputs: tuple[Any, ...]) -> Operand | None:
    """What makes the derivative of a node zero, where that can be told from the node itself; None: a value with parameters behind it."""
    if name.startswith(_FLAT):
        return Operand.CONSTANT
    if any(word in name for word in _RECURRENT):
        # From a zero initial state the first token brings the recurrent weights nothing: that is this batch, and no fault of the layer.
        return Operand.BATCH
    grad = next((value for value in grad_outputs if isinstance(value, torch.Tensor)), None)
    if grad is not None and any(word in name for word in _NORMALISING) and _over_one(node, grad):
        return Operand.SHAPE
    if name.startswith(_FACTORS):
        return _factor(node)
    return None


def _over_one(node: Any, grad: torch.Tensor) -> bool:
    dim = getattr(node, "_saved_dim", None)
    if isinstance(dim, int):
        # The saved dimension is an unsigned number: -1 comes back as 2**64 - 1.
        dim = dim - 2**64 if dim >= 2**63 else dim
        return grad.dim() > 0 and grad.shape[dim] == 1
    shape = getattr(node, "_saved_normalized_shape", None)
    return shape is not None and all(size == 1 for size in shape)


def _factor(node: Any) -> Operand | None:
    """For a product: a number or a tensor of one element that needs no gradient is a constant, a larger one is this batch's data."""
    factors = [getattr(node, name, None) for name in ("_saved_other", "_saved_self", "_saved_condition", "_saved_mask")]
    tensors = [value for value in factors if isinstance(value, torch.Tensor)]
    if not tensors:
        return Operand.CONSTANT
    plain = [value for value in tensors if not value.requires_grad]
    if not plain:
        return None
    return Operand.CONSTANT if all(value.numel() == 1 for value in plain) else Operand.BATCH


def _is_zero(size: float | None) -> bool:
    return size == 0.0


def _is_bad(size: float | None) -> bool:
    return size is not None and not math.isfinite(size)


def _first_spoilers(
    leaf: int, into: dict[int, list[_Edge]], sizes: dict[tuple[int, int], float], spoiled: Any, *, every: bool
) -> Iterable[int]:
    """Nodes that hand on a spoiled gradient though what came to them was not, on the ways from the loss to `leaf`.

    With `every`, only where all ways to the leaf are spoiled: one good gradient is enough to make a sum that is not zero.
    """
    given = [edge for edge in into.get(leaf, ()) if (edge.head, edge.slot) in sizes]
    if not given or (every and not all(spoiled(sizes[edge.head, edge.slot]) for edge in given)):
        return ()
    found: list[int] = []
    seen: set[int] = set()
    stack = [edge for edge in given if spoiled(sizes[edge.head, edge.slot])]
    while stack:
        edge = stack.pop()
        if edge.head in seen:
            continue
        seen.add(edge.head)
        above = [other for other in into.get(edge.head, ()) if (other.head, other.slot) in sizes]
        bad = [other for other in above if spoiled(sizes[other.head, other.slot])]
        if bad and (not every or len(bad) == len(above)):
            stack.extend(bad)
        else:
            found.append(edge.head)
    return found
