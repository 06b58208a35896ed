"""What calls of torch, numpy and built-in functions do to a gradient, by their full dotted name."""

from __future__ import annotations

import ast
import re
from typing import Any

from gradflow.graph.flow import CutReason
from gradflow.static.machine import Heap, Thing
from gradflow.static.methods import Arguments, Methods
from gradflow.static.torch_names import (
    COMPUTING_MODULES,
    HARMLESS_CALLS,
    LAYERS,
    MODULE_CONTAINERS,
    NEEDS_AFFINE,
    PASSES_THROUGH,
    SWITCHED_OFF,
)
from gradflow.static.values import (
    KEEP,
    NOTHING,
    ON,
    UNKNOWN_MODE,
    Const,
    Container,
    Each,
    Enabled,
    Items,
    Layers,
    Partial,
    Region,
    Stateless,
    Unit,
    Value,
    Wrapped,
    blend,
    cut_by,
    join,
    join_all,
    members_of,
)

COPIES = frozenset({"tensor", "Tensor", "FloatTensor", "DoubleTensor", "HalfTensor", "LongTensor", "IntTensor", "BoolTensor", "Variable"})
RETURNS_FIRST = frozenset(
    {"compile", "script", "weight_norm", "spectral_norm", "checkpoint_wrapper", "convert_sync_batchnorm", "DataParallel",
     "DistributedDataParallel", "wraps", "annotate", "cast"}
)  # fmt: skip


class TorchCalls(Methods):
    """Calls of names that stand outside of the package."""

    def outside_call(self, name: str, arguments: Arguments, node: ast.Call) -> Value:
        """What calling the function or class `name` returns."""
        last = name.rpartition(".")[2]
        if name.startswith("builtins."):
            return self._builtin(last, arguments, node)
        last = last.removeprefix("_") if last == "_set_grad_enabled" else last
        if last in GRAD_MODES and name.startswith("torch."):
            return self._grad_mode(last, arguments, node)
        if last in ("nullcontext", "ExitStack", "suppress", "autocast", "record_function", "profile"):
            return Value(0, (), Region(KEEP))
        if last == "is_grad_enabled":
            return Value(0, (), Enabled(self.mode))
        if name.startswith(("torch.nn.", "nn.")) and last[:1].isupper() and ".functional." not in name and ".init." not in name:
            return self._layer(last, arguments, node)
        if name.startswith("torch.distributions."):
            return Value(*self.computed(self.flow_of(arguments))[:2], Stateless("torch.distributions"))
        special = self._special(last, name, arguments, node)
        return special if special is not None else self._function(last, name, arguments, node)

    def _special(self, last: str, name: str, arguments: Arguments, node: ast.Call) -> Value | None:
        first = arguments.get(0)
        if last in ("checkpoint", "checkpoint_sequential") and first is not None:
            return self._checkpoint(arguments, node)
        if last == "partial" and first is not None:
            return Value(0, (), Partial(first, arguments.positional[1:], arguments.keywords))
        if last == "reduce" and len(arguments.positional) > 1:
            return self._reduce(arguments, node)
        if last == "deepcopy" and first is not None:
            return self._deepcopy(first, node)
        if last in RETURNS_FIRST and first is not None:
            return first
        if last == "backward":
            self.escaped |= self.flow_of(arguments).live
            return NOTHING
        if name.startswith(("torch.nn.init.", "torch.optim.", "logging.", "warnings.")):
            return first if first is not None and ".init." in name else NOTHING
        if last == "Parameter":
            return self._parameter(arguments, node)
        if name in ("torch.as_tensor", "torch.asarray") and first is not None and not isinstance(first.what, (Container, Items)):
            return self.maybe_computed(self.flow(first))
        if last in COPIES | {"as_tensor", "asarray"} and name.startswith("torch."):
            return self._copy(arguments, node)
        return None

    def _function(self, last: str, name: str, arguments: Arguments, node: ast.Call) -> Value:
        flow = self.flow_of(arguments)
        if name.startswith("numpy."):
            return self.cut(flow, CutReason.NUMPY, node)
        if name.startswith("torch."):
            known = self.operation(last, NOTHING, flow, arguments, node, method=False)
            if known is not None:
                return known
            if last == "detach":
                return self.cut(flow, CutReason.DETACH, node)
            if last.endswith("_") and node.args:
                self.mutate(node.args[0], self.computed(flow))
        out = arguments.get(-1, "out")
        if out is not None:
            self.mutate(next(entry.value for entry in node.keywords if entry.arg == "out"), self.computed(flow))
        both = blend([flow, self.called_back(arguments, node)])
        if name.startswith(COMPUTING_MODULES):
            return self.computed(both)
        if last not in HARMLESS_CALLS:
            self.pending |= flow.live
        return self.maybe_computed(both)

    def _copy(self, arguments: Arguments, node: ast.Call) -> Value:
        flow = self.flow_of(arguments)
        if not flow.every:
            return NOTHING
        wanted = arguments.get(-1, "requires_grad")
        rebuilds = wanted is not None and isinstance(wanted.what, Const) and wanted.what.value is True
        number = self.cut_number(CutReason.TENSOR_COPY, node, code="GF105" if rebuilds else "GF101")
        return cut_by(flow, number)

    def _reduce(self, arguments: Arguments, node: ast.Call) -> Value:
        """`functools.reduce`: over members that are known one by one, else over any of them, twice."""
        function, iterated = arguments.positional[:2]
        members = list(self.parts(iterated)) if not isinstance(iterated.what, Each) else [iterated.what.member] * 2
        given = members[0] if len(arguments.positional) < 3 and members else (arguments.get(2) or NOTHING)
        for member in members if len(arguments.positional) > 2 else members[1:]:
            given = self.call(function, Arguments((given, member)), node)
        return given

    def _checkpoint(self, arguments: Arguments, node: ast.Call) -> Value:
        keywords = tuple(
            (key, value) for key, value in arguments.keywords if key not in ("use_reentrant", "preserve_rng_state", "context_fn")
        )
        inner = Arguments(arguments.positional[1:], keywords, arguments.rest, arguments.spread)
        return self.call(arguments.positional[0], inner, node)

    def _deepcopy(self, first: Value, node: ast.Call) -> Value:
        """A twin: what it holds is not known to be trained."""
        if isinstance(first.what, (Unit, Layers, Thing, Container)):
            number = self.unit(node, known=False, what="deepcopy")
            return Value(1 << number, (), Unit(number))
        return self.maybe_computed(self.flow(first))

    # Layers and parameters

    def _layer(self, last: str, arguments: Arguments, node: ast.Call) -> Value:
        if last in MODULE_CONTAINERS:
            return self._module_container(arguments, node)
        if last == "Sequential":
            return self._sequential(arguments)
        if last == "Parameter":
            return self._parameter(arguments, node)
        if last == "Buffer":
            return self.flow_of(arguments)
        if last in ("DataParallel", "DistributedDataParallel"):
            return arguments.get(0) or NOTHING
        if last not in LAYERS or not self._has_parameters(last, arguments):
            return Value(0, (), Stateless(last))
        if not self.building:
            self.built.append((node, self.frame.module, self.frame.function, self.mode == ON))
        number = self.unit(node, known=True, what=last)
        return Value(1 << number, (), Unit(number))

    def _has_parameters(self, last: str, arguments: Arguments) -> bool:
        for keyword, layers in SWITCHED_OFF.items():
            given = arguments.get(-1, keyword)
            if last in layers and given is not None and not (isinstance(given.what, Const) and given.what.value is True):
                return False
        if last in NEEDS_AFFINE:
            given = arguments.get(3, "affine")
            return given is not None and isinstance(given.what, Const) and given.what.value is True
        return True

    def _parameter(self, arguments: Arguments, node: ast.Call) -> Value:
        wanted = arguments.get(1, "requires_grad")
        trained = wanted is None or (isinstance(wanted.what, Const) and wanted.what.value is True)
        flow = self.flow(arguments.get(0, "data") or NOTHING)
        behind = NOTHING
        if not self.building:
            self.built.append((node, self.frame.module, self.frame.function, self.mode == ON and trained))
            if flow.every:
                behind = cut_by(flow, self.cut_number(CutReason.PARAMETER_REWRAP, node, code="GF104"))
        if not trained:
            return behind
        number = self.unit(node, known=True, what="Parameter")
        return Value(behind.live | 1 << number, behind.cuts, Unit(number, True))

    def _module_container(self, arguments: Arguments, node: ast.Call) -> Value:
        first = arguments.get(0)
        if first is None:
            return self.new_container(node, Items(()), registered=True)
        content = self.heap.get(first.what.key, NOTHING) if isinstance(first.what, Container) else first
        what = content.what if isinstance(content.what, (Items, Each)) else Each(self.element(first))
        if isinstance(first.what, Layers):
            what = Items(first.what.members)
        return self.new_container(node, what, registered=True)

    def _sequential(self, arguments: Arguments) -> Value:
        members = list(arguments.positional)
        if arguments.spread:
            members.append(arguments.rest)
        if len(members) == 1 and isinstance(members[0].what, (Container, Items, Each)):
            inner = members[0]
            content = self.heap.get(inner.what.key, NOTHING) if isinstance(inner.what, Container) else inner
            members = [_named_member(entry) for entry in members_of(content.what)]
        return Value(0, (), Layers(tuple(members)))

    # Modes of gradients

    def _grad_mode(self, last: str, arguments: Arguments, node: ast.Call) -> Value:
        first = arguments.get(0, "mode")
        if last == "enable_grad":
            return Value(0, (), Region(ON))
        if last == "no_grad":
            mode = self.cut_number(CutReason.NO_GRAD, node, region=True)
            wraps = first is not None and not isinstance(first.what, Const)
            return Value(0, (), Wrapped(mode, first) if wraps and first is not None else Region(mode))
        if last == "inference_mode":
            return Value(0, (), Region(self._switched(first, node, CutReason.INFERENCE_MODE, default=False)))
        mode = self._switched(first, node, CutReason.NO_GRAD, default=None)
        self.mode = mode
        return Value(0, (), Region(mode))

    def _switched(self, flag: Value | None, node: ast.Call, reason: CutReason, *, default: bool | None) -> int:
        """The mode that a call with the flag `flag` sets. For `inference_mode` a true flag switches off, for `set_grad_enabled` on."""
        if flag is None:
            return UNKNOWN_MODE if default is None else self.cut_number(reason, node, region=True)
        if isinstance(flag.what, Enabled):
            return flag.what.mode
        if not isinstance(flag.what, Const):
            if node.args:
                self.note_flag(node.args[0])
            return UNKNOWN_MODE
        off = bool(flag.what.value) is (reason is CutReason.INFERENCE_MODE)
        if off:
            return self.cut_number(reason, node, region=True)
        return ON if reason is CutReason.NO_GRAD else KEEP

    # Built-in functions

    def _builtin(self, last: str, arguments: Arguments, node: ast.Call) -> Value:
        first = arguments.get(0)
        if last in ("getattr", "setattr") and first is not None:
            return self._named_attribute(last, first, arguments, node)
        if last in ("float", "int", "bool", "complex"):
            return self.cut(self.flow_of(arguments), CutReason.HOST_SCALAR, node)
        if last in HARMLESS_CALLS or last in ("any", "all"):
            return NOTHING
        if first is not None and last in (
            "list",
            "tuple",
            "reversed",
            "sorted",
            "iter",
            "enumerate",
            "zip",
            "map",
            "next",
            "set",
            "filter",
        ):
            return self._iterating(last, first, arguments, node)
        if last == "dict":
            members = [value for _, value in arguments.keywords]
            if first is None:
                return self.new_container(node, Items(tuple(members), tuple(key for key, _ in arguments.keywords)))
            return self.new_container(node, Each(join_all([self.element_or_values(first), *members])))
        flow = self.flow_of(arguments)
        if last in PASSES_THROUGH:
            return self.computed(flow) if last == "sum" else flow
        if last in ("abs", "round", "pow", "divmod"):
            return self.computed(flow)
        self.pending |= flow.live
        return self.maybe_computed(blend([flow, self.called_back(arguments, node)]))

    def _iterating(self, last: str, first: Value, arguments: Arguments, node: ast.Call) -> Value:
        content = self.heap.get(first.what.key, NOTHING) if isinstance(first.what, Container) else first
        if last in ("list", "tuple", "reversed", "sorted", "iter") and isinstance(content.what, Items) and content.what.keys is None:
            members = content.what.members[::-1] if last == "reversed" else content.what.members
            return self.new_container(node, Items(members)) if last == "list" else Value(0, (), Items(members))
        if last == "enumerate" and isinstance(content.what, Items) and content.what.keys is None and len(arguments.positional) == 1:
            numbered = enumerate(content.what.members)
            return Value(0, (), Items(tuple(Value(0, (), Items((Value(0, (), Const(number)), value))) for number, value in numbered)))
        if last == "enumerate" and isinstance(content.what, Layers):
            numbered = enumerate(content.what.members)
            return Value(0, (), Items(tuple(Value(0, (), Items((Value(0, (), Const(number)), value))) for number, value in numbered)))
        member = self.element(first)
        if last == "next":
            return member
        if last == "enumerate":
            return Value(0, (), Each(Value(0, (), Items((NOTHING, member)))))
        if last == "zip":
            return Value(0, (), Each(Value(0, (), Items(tuple(self.element(value) for value in arguments.positional)))))
        if last == "map" and len(arguments.positional) > 1:
            given = Arguments(tuple(self.element(value) for value in arguments.positional[1:]))
            return Value(0, (), Each(self.call(first, given, node)))
        if last == "filter" and len(arguments.positional) > 1:
            member = self.element(arguments.positional[1])
        return self.new_container(node, Each(member)) if last in ("list", "set") else Value(0, (), Each(member))

    def _named_attribute(self, last: str, first: Value, arguments: Arguments, node: ast.Call) -> Value:
        """`getattr` and `setattr`: by a constant name, by a name that begins as an f-string does, else any attribute."""
        name = arguments.get(1)
        constant = name.what.value if name is not None and isinstance(name.what, Const) else None
        if isinstance(constant, str) and last == "getattr":
            return self.attribute(first, constant, node)
        if last == "setattr":
            key = constant if isinstance(constant, str) else _pattern_of(node)
            if isinstance(first.what, Thing) and len(arguments.positional) > 2:
                place = (first.what.key, key)
                old = self.heap.get(place)
                self.heap[place] = arguments.positional[2] if old is None else join(old, arguments.positional[2])
            return NOTHING
        return self._any_attribute(first, _pattern_of(node))

    def _any_attribute(self, first: Value, pattern: str) -> Value:
        if not isinstance(first.what, Thing):
            return self.flow(first)
        begins, _, ends = pattern.partition("*")
        thing = first.what
        found = [
            value
            for (owner, name), value in _attributes(self.heap)
            if owner == thing.key and (name == pattern or (name.startswith(begins) and name.endswith(ends)))
        ]
        if begins or ends:
            return join_all(found)
        flow = self.flow(first)
        self.unclear |= flow.every
        return flow


GRAD_MODES = frozenset({"no_grad", "enable_grad", "inference_mode", "set_grad_enabled"})


def _named_member(entry: Value) -> Value:
    """The module of a member of `Sequential(OrderedDict([(name, module), ...]))`."""
    return entry.what.members[1] if isinstance(entry.what, Items) and len(entry.what.members) == 2 else entry


def _pattern_of(node: ast.Call) -> str:
    """`layer*` for `f"layer{i}"` or `"layer" + str(i)`; `*` where nothing of the name is known."""
    name = node.args[1] if len(node.args) > 1 else None
    if isinstance(name, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "*" for part in name.values]
        return re.sub(r"\*.*\*", "*", "".join(parts))
    if isinstance(name, ast.BinOp) and isinstance(name.left, ast.Constant) and isinstance(name.left.value, str):
        return re.split(r"[%{]", name.left.value)[0] + "*"
    return "*"


def _attributes(heap: Heap) -> list[tuple[tuple[Any, str], Value]]:
    return [((key[0], key[1]), value) for key, value in heap.items() if len(key) == 2 and isinstance(key[1], str)]
