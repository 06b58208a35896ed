"""Finds the operation at which a gradient becomes zero, NaN or Inf on its way back: hooks on every backward node of one pass.

A pass is looked at where an earlier one brought such a gradient, and the first one always. What is measured is the largest absolute value
of each outgoing gradient, one pass over its memory; it neither overflows nor underflows, and NaN goes through it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from gradflow.capture.flow.trace import Place
from gradflow.capture.flow.values import GradientHook, Trace
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


_NOISE = 1e-3
"""What an operation over one element hands on is rounding noise, if it is under this share of what came to it."""
HOOK = "register_hook"
_NORMS = ("NativeLayerNorm", "NativeGroupNorm")


@dataclass(slots=True)
class Origin:
    """One origin in one pass: the backward node (its number in the walk), and the leaves (serials) whose gradient it spoils.

    `place`: where the program made it so, where that is not the operation's own line (a hook); `meant`: it is written to do so.
    """

    trouble: Trouble
    node: int
    sequence: int
    name: str
    leaves: set[int]
    operand: Operand = Operand.PARAMETER
    satisfied: bool = False
    forward_finite: bool = True
    place: Place | None = None
    meant: bool = False

    @property
    def may_grow(self) -> bool:
        """Whether a factor makes the zero, which may be another one in a later step."""
        return self.trouble is Trouble.ZERO and self.operand is Operand.CONSTANT and self.name.startswith(("Mul", "Div"))


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
    trace: Trace
    _arrived: dict[int, torch.Tensor] = field(default_factory=dict)
    _noisy: set[int] = field(default_factory=set)
    _sizes: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)
    _operands: dict[int, Operand] = field(default_factory=dict)
    _handles: list[Any] = field(default_factory=list)

    def listen(self) -> OriginWatch:
        """Puts a hook on every node that hands gradients on."""
        consumers = Counter(self.walk.tails)
        for number, node in enumerate(self.nodes):
            if self.walk.sequences[number] >= 0:
                # What arrives is more than the edges tell where gradients are added up (and may cancel), and where a hook changes them.
                name = node.name()
                sums = consumers[number] > 1 or self.walk.sequences[number] in self.trace.hooks or name.startswith(_NORMS)
                self._handles.append(node.register_hook(_Listener(self, number, sums)))
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
        arrived = self._arrivals()
        into: dict[int, list[_Edge]] = {}
        for edge in edges:
            into.setdefault(edge.tail, []).append(edge)
        self._drop_noise(edges, into, sizes, arrived)
        found: dict[tuple[Trouble, int], Origin] = {}
        for node, serial in zip(self.walk.leaf_nodes, self.walk.leaf_serials, strict=True):
            if not serial:
                continue
            for trouble, spoiled in ((Trouble.ZERO, _is_zero), (Trouble.NONFINITE, _is_bad)):
                for number in _first_spoilers(node, into, sizes, spoiled, every=trouble is Trouble.ZERO):
                    cancelled = trouble is Trouble.ZERO and arrived.get(number) == 0.0
                    first, hook = self._before(number, into, sizes) if cancelled else (number, None)
                    origin = self._origin(trouble, first, into, hook)
                    if first != number:
                        origin.operand, origin.satisfied = Operand.CANCELLED, False
                    found.setdefault((trouble, first), origin).leaves.add(serial)
        found.update(self._hooked_leaves(into, sizes))
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

    def _drop_noise(
        self, edges: list[_Edge], into: dict[int, list[_Edge]], sizes: dict[tuple[int, int], float], arrived: dict[int, float]
    ) -> None:
        """Takes what a normalisation over one element hands on, and what comes of it, for the zero that it is but for rounding."""
        onward: dict[int, list[_Edge]] = {}
        for edge in edges if self._noisy else ():
            onward.setdefault(edge.head, []).append(edge)
        # The bias (slot 2) learns.
        first = {number: _NOISE * arrived.get(number, 0.0) for number in self._noisy}
        stack = [
            edge for number, least in first.items() for edge in onward.get(number, ()) if edge.slot < 2 and self._under(edge, sizes, least)
        ]
        while stack:
            edge = stack.pop()
            sizes[edge.head, edge.slot] = 0.0
            if all(not sizes.get((other.head, other.slot)) for other in into[edge.tail]):
                stack.extend(other for other in onward.get(edge.tail, ()) if sizes.get((other.head, other.slot)))

    def _under(self, edge: _Edge, sizes: dict[tuple[int, int], float], least: float) -> bool:
        return 0.0 < sizes.get((edge.head, edge.slot), 0.0) < least

    def _arrivals(self) -> dict[int, float]:
        """By node, the largest absolute value of what arrived at it, after hooks; only where that was read."""
        found = {number: float(size) for number, size in self._arrived.items()}
        self._arrived.clear()
        return found

    def _before(self, number: int, into: dict[int, list[_Edge]], sizes: dict[tuple[int, int], float]) -> tuple[int, GradientHook | None]:
        """Who made a zero of what was sent to the node: a hook on its output, else the nearest node that all of it comes from, in whose
        inputs the gradients cancel (`a - a`)."""
        hook = self.trace.hooks.get(self.walk.sequences[number])
        sent = [edge for edge in into.get(number, ()) if sizes.get((edge.head, edge.slot))]
        if hook is not None or len(sent) < 2:
            return number, hook
        shared = set.intersection(*(set(_above(edge.head, into)) for edge in sent))
        return next((node for node in _above(sent[0].head, into) if node in shared), number), None

    def _hooked_leaves(self, into: dict[int, list[_Edge]], sizes: dict[tuple[int, int], float]) -> dict[tuple[Trouble, int], Origin]:
        """Leaves to which a gradient was sent, and whose own hook made zeros of it."""
        found = {}
        for node, serial, leaf in zip(self.walk.leaf_nodes, self.walk.leaf_serials, self.walk.leaves, strict=False):
            hook = self.trace.leaves[serial].hooked if serial else None
            if hook is None or leaf.grad is None or leaf.grad.is_sparse or bool(leaf.grad.any()):
                continue
            if any(sizes.get((edge.head, edge.slot)) for edge in into.get(node, ())):
                found[Trouble.ZERO, node] = Origin(
                    Trouble.ZERO,
                    node,
                    -1,
                    HOOK,
                    {serial},
                    Operand.HOOK,
                    forward_finite=self.forward_finite,
                    place=hook.place,
                    meant=hook.zeroing,
                )
        return found

    def _origin(self, trouble: Trouble, number: int, into: dict[int, list[_Edge]], hook: GradientHook | None = None) -> Origin:
        name = self.walk.names[self.walk.kinds[number]]
        if hook is not None:
            return Origin(trouble, number, -1, HOOK, set(), Operand.HOOK, place=hook.place, meant=hook.zeroing)
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
    """The hook of one node; with `sums` it reads what arrived, too."""

    def __init__(self, watch: OriginWatch, number: int, sums: bool) -> None:
        self.watch = watch
        self.number = number
        self.sums = sums

    def __call__(self, grad_inputs: tuple[Any, ...], grad_outputs: tuple[Any, ...]) -> None:
        if any(isinstance(grad, torch.Tensor) and not grad.numel() for grad in grad_outputs):
            # Nothing went through it: an expert without a token, a class that the batch does not have.
            self.watch._operands[self.number] = Operand.BATCH
        given = [grad for grad in grad_outputs if isinstance(grad, torch.Tensor)] if self.sums else []
        if len(given) == 1 and (came := given[0]).numel() and came.is_floating_point() and not came.is_sparse:
            self.watch._arrived[self.number] = torch.linalg.vector_norm(came.detach(), math.inf)
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
        if operand is Operand.SHAPE and self.name.startswith(_NORMS):
            self.watch._noisy.add(self.number)


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
    groups = getattr(node, "_saved_group", None)
    if isinstance(groups, int) and groups:
        return bool(node._saved_C // groups * node._saved_HxW == 1)
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


def _above(start: int, into: dict[int, list[_Edge]]) -> dict[int, None]:
    """The node and every node from which a gradient comes to it, the nearest first."""
    seen = {start: None}
    for node in (order := [start]):
        for edge in into.get(node, ()):
            if edge.head not in seen:
                seen[edge.head] = None
                order.append(edge.head)
    return seen


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
