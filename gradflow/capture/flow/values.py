"""Which call made which value: tensors by identity under weak references, Python floats and arrays by identity, leaves with their history.

Nothing is ever put on a tensor (attributes on tensors broke `torch.save`), and no tensor is kept alive.
"""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from gradflow.capture.flow.trace import INERT, LIVE, Place, Step
from gradflow.graph.flow import CutReason, NodeKind

_Parameter = torch.nn.Parameter
_HOSTS_KEPT = 4096


class _Ref(weakref.ref):  # type: ignore[type-arg]
    """A weak reference that knows the key under which it is filed."""

    __slots__ = ("key", "step")
    key: int
    step: Step


class _Alias(weakref.ref):  # type: ignore[type-arg]
    """A weak reference to a tensor made by `.data` or `.detach()`, with what it is another name of."""

    __slots__ = ("key", "reason", "source")
    key: int
    source: weakref.ref[torch.Tensor]
    reason: CutReason


@dataclass(frozen=True, slots=True)
class GradientHook:
    """A hook that the program put on the gradient of a tensor: where, and whether it is written to give zeros (a way to freeze)."""

    place: Place | None
    zeroing: bool


class Leaf:
    """One trainable leaf: where it was made, in which module's forward (serial, 0: in none), after how many backward passes.

    `gathered`: the whole tensor that stands for it in a forward pass, where the leaf itself is this process's shard. `written_at`: where
    something else than an optimizer wrote its value last. `hooked`: the last hook that the program put on its gradient. `asked`: the
    program asks for its gradient itself, by `torch.autograd.grad` or by reading `.grad`.
    """

    __slots__ = (
        "asked",
        "cast",
        "dtype",
        "frozen_at",
        "gathered",
        "hooked",
        "made_after",
        "made_in",
        "owner",
        "place",
        "ref",
        "serial",
        "shape",
        "step",
        "written",
        "written_at",
    )

    def __init__(self, serial: int, tensor: torch.Tensor, place: Place | None, made_in: int, made_after: int) -> None:
        self.serial = serial
        self.ref = weakref.ref(tensor)
        self.gathered: weakref.ref[torch.Tensor] | None = None
        self.place = place
        self.made_in = made_in
        self.made_after = made_after
        self.shape = tuple(tensor.shape) if not isinstance(tensor, UninitializedTensorMixin) else ()
        self.dtype = str(tensor.dtype).removeprefix("torch.")
        self.owner: tuple[int, str] | None = None
        self.asked = False
        self.written = False
        self.written_at: Place | None = None
        self.hooked: GradientHook | None = None
        self.cast: Place | None = None
        self.frozen_at: Place | None = None
        self.step: Step | None = None


class Trace:
    """Which step made which value. Tensors are filed by identity under weak references; nothing is ever put on a tensor.

    `hooks`: by the sequence number of an autograd node, the last hook on the tensor that it made. `gradients`: by memory address, the leaf
    (serial) whose `.grad` lies there, filled only where gradients go lost between a pass and a step; `gradient_writes`: by leaf, where it
    was written last, and by which call.
    """

    def __init__(self) -> None:
        self.counter = itertools.count(1)
        self.leaf_counter = itertools.count(1)
        self.pass_number = 0
        self.values: dict[int, _Ref] = {}
        self.leaves: dict[int, Leaf] = {}
        self.leaf_of: dict[int, Leaf] = {}
        self.aliases: dict[int, _Alias] = {}
        self.hooks: dict[int, GradientHook] = {}
        self.gradients: dict[int, int] = {}
        self.gradient_writes: dict[int, tuple[Place | None, str]] = {}
        self.writes = 0
        self.stepping = 0
        self.numbers: OrderedDict[int, tuple[object, Step]] = OrderedDict()
        self.arrays: dict[int, Step] = {}
        self.leaks: dict[tuple[int, int], Step] = {}
        self.leaky_code: dict[CodeType, dict[int, Step]] = {}
        self.leaky_files: set[str] = set()

    def find(self, tensor: torch.Tensor) -> Step | None:
        """The step that made `tensor`, None for data that no leaf had a part in."""
        ref = self.values.get(id(tensor))
        if ref is not None and ref() is tensor:
            step = ref.step
            if step.region is not None and tensor.requires_grad and tensor.grad_fn is not None:
                return self._unseen(tensor)
            return self._current(tensor, step) if self.writes else step
        if type(tensor) is _Parameter or (tensor.requires_grad and tensor.is_leaf) or getattr(tensor, "_is_param", False):
            return self.add_leaf(tensor, None, 0).step
        return self._unseen(tensor)

    def file(self, tensor: torch.Tensor, step: Step) -> None:
        """Says that `step` made `tensor`."""
        key = id(tensor)
        ref = self.values.get(key)
        if ref is not None and ref() is tensor:
            ref.step = step
            return
        ref = _Ref(tensor, self._forget)
        ref.key = key
        ref.step = step
        self.values[key] = ref

    def _current(self, tensor: torch.Tensor, step: Step) -> Step:
        """`step`, or a later one where the memory that `tensor` shares was written through another tensor."""
        source, _ = self.alias_of(tensor)
        base = tensor._base if tensor._is_view() else source
        ref = None if base is None else self.values.get(id(base))
        if ref is None or ref() is not base or ref.step.serial < step.serial or ref.step.kind is NodeKind.PARAMETER:
            return step
        mark = LIVE if tensor.requires_grad and source is None else INERT
        newer = Step(next(self.counter), ref.step.name, ref.step.place, (step, ref.step), bytes([mark, mark]), pass_number=self.pass_number)
        self.file(tensor, newer)
        return newer

    def add_alias(self, tensor: torch.Tensor, source: torch.Tensor, reason: CutReason) -> None:
        """Says that `tensor` is the memory of `source` by another name, of which autograd knows nothing; a write is a cut for `reason`."""
        alias = _Alias(tensor, self._forget_alias)
        alias.key = id(tensor)
        alias.source = weakref.ref(source)
        alias.reason = reason
        self.aliases[alias.key] = alias

    def alias_of(self, tensor: torch.Tensor) -> tuple[torch.Tensor | None, CutReason | None]:
        """(the tensor of which `tensor` is another name, the reason of a cut by writing), or (None, None)."""
        alias = self.aliases.get(id(tensor))
        if alias is None or alias() is not tensor:
            return None, None
        return alias.source(), alias.reason

    def _forget_alias(self, alias: _Alias) -> None:
        if self.aliases.get(alias.key) is alias:
            del self.aliases[alias.key]

    def _forget(self, ref: _Ref) -> None:
        if self.values.get(ref.key) is ref:
            del self.values[ref.key]

    def add_leaf(self, tensor: torch.Tensor, place: Place | None, made_in: int, sources: tuple[Step, ...] = (), marks: bytes = b"") -> Leaf:
        """Files a trainable leaf; `sources` are steps whose values it was filled with."""
        serial = next(self.leaf_counter)
        leaf = Leaf(serial, tensor, place, made_in, self.pass_number)
        leaf.step = Step(
            next(self.counter), "parameter", place, sources, marks, kind=NodeKind.PARAMETER, leaf=serial, pass_number=self.pass_number,
            reason=CutReason.OVERWRITE,
        )  # fmt: skip
        self.leaves[serial] = leaf
        self.leaf_of[id(tensor)] = leaf
        self.file(tensor, leaf.step)
        return leaf

    def leaf(self, tensor: torch.Tensor) -> Leaf | None:
        """The leaf that `tensor` is, if it is one that was seen."""
        leaf = self.leaf_of.get(id(tensor))
        if leaf is None or leaf.ref() is tensor:
            return leaf
        return leaf if leaf.gathered is not None and leaf.gathered() is tensor else None

    def gather(self, whole: torch.Tensor, shard: torch.Tensor) -> None:
        """Says that `whole`, which autograd sees as a leaf of its own, is the parameter of which `shard` is this process's part."""
        leaf = self.leaf(shard) or self.add_leaf(shard, None, 0)
        assert leaf.step is not None
        leaf.gathered = weakref.ref(whole)
        self.leaf_of[id(whole)] = leaf
        self.file(whole, leaf.step)

    def note_hook(self, tensor: torch.Tensor, hook: GradientHook) -> None:
        """Says that the program put `hook` on the gradient of `tensor`."""
        if tensor.grad_fn is not None:
            self.hooks[tensor.grad_fn._sequence_nr()] = hook
        else:
            (self.leaf(tensor) or self.add_leaf(tensor, None, 0)).hooked = hook

    def note_grad_use(self, tensor: torch.Tensor, place: Place | None) -> None:
        """Says that the program read the `.grad` of `tensor`, or set it at `place`."""
        leaf = self.leaf_of.get(id(tensor))
        if leaf is not None and place is not None:
            self.gradient_writes[leaf.serial] = (place, "grad")
        elif leaf is not None:
            leaf.asked = True

    def _unseen(self, tensor: torch.Tensor) -> Step | None:
        """A tensor that no recorded call made: with a `grad_fn` it is joined by walking autograd's graph to the first values known."""
        if not tensor.requires_grad or tensor.grad_fn is None:
            return None
        sources = self._known_below(tensor.grad_fn)
        step = Step(next(self.counter), tensor.grad_fn.name(), None, tuple(sources), bytes(len(sources)), pass_number=self.pass_number)
        self.file(tensor, step)
        return step

    def _known_below(self, start: Any) -> list[Step]:
        makers = {}
        for ref in list(self.values.values()):
            value = ref()
            if value is not None and value.requires_grad and value.grad_fn is not None:
                makers[value.grad_fn] = ref.step
        found: dict[int, Step] = {}
        seen, stack = {start}, [start]
        while stack:
            for node, _ in stack.pop().next_functions:
                if node is None or node in seen:
                    continue
                seen.add(node)
                step = makers.get(node)
                if step is None and hasattr(node, "variable"):
                    step = self.find(node.variable)
                if step is not None:
                    found[step.serial] = step
                else:
                    stack.append(node)
        return [found[serial] for serial in sorted(found)]

    def keep_number(self, value: object, step: Step) -> None:
        """Follows a Python float by identity. It is held, so that its identity stays its own; the last 4,096 are kept."""
        self.numbers[id(value)] = (value, step)
        if len(self.numbers) > _HOSTS_KEPT:
            self.numbers.popitem(last=False)

    def number(self, value: object) -> Step | None:
        """The step from which this very float object came."""
        entry = self.numbers.get(id(value))
        return entry[1] if entry is not None and entry[0] is value else None
