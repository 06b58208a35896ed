"""What methods do to a gradient: those of tensors, of modules, and of lists and dicts."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from gradflow.graph.flow import CutReason
from gradflow.static.expressions import Expressions
from gradflow.static.flows import LONGEST_LIST
from gradflow.static.machine import Thing
from gradflow.static.torch_names import (
    INTEGER_TYPES,
    MAY_RETURN_ITSELF,
    NO_DERIVATIVE,
    TO_INTEGER,
    VALUE_AND_INDEX,
    VALUE_AND_INDEX_WITH_DIM,
    WITHOUT_VALUES,
)
from gradflow.static.values import (
    KEEP,
    NOTHING,
    Const,
    Container,
    Each,
    Items,
    Leaf,
    Qualified,
    Region,
    Stateless,
    Unit,
    Value,
    blend,
    join,
    join_all,
    members_of,
)

ADDS = frozenset({"append", "extend", "add", "update", "insert", "appendleft", "setdefault", "put"})
RETURNS_THE_MODULE = frozenset(
    {"to", "cuda", "cpu", "float", "half", "double", "bfloat16", "train", "apply", "compile", "to_empty", "share_memory", "type", "xpu"}
)
SPECIAL = frozenset(
    {"detach", "detach_", "clone_detached", "requires_grad_", "numpy", "__array__", "item", "tolist", "backward", "sample",
     "enter_context", "new_tensor"}
)  # fmt: skip
"""Methods of tensors that do more to a gradient, or to the state of the program, than to compute."""
OPERATIONS = NO_DERIVATIVE | VALUE_AND_INDEX | VALUE_AND_INDEX_WITH_DIM | TO_INTEGER | {"to", "type", "type_as"}
RESHAPES = frozenset({"view", "reshape", "flatten", "squeeze", "unsqueeze", "t", "transpose", "permute", "expand"})
_LEAVES = frozenset({Leaf, Unit})
LISTS_PARAMETERS = frozenset({"parameters", "named_parameters", "children", "modules", "named_children", "named_modules", "get_parameter"})


class Arguments(NamedTuple):
    """The arguments of a call; `rest` is what `*x` and `**x` spread, where their members are not known."""

    positional: tuple[Value, ...] = ()
    keywords: tuple[tuple[str, Value], ...] = ()
    rest: Value = NOTHING
    spread: bool = False

    def get(self, place: int, name: str = "") -> Value | None:
        """The argument at `place` or with `name`, None where it is not given."""
        if 0 <= place < len(self.positional):
            return self.positional[place]
        return next((value for keyword, value in self.keywords if keyword == name), None)

    @property
    def numbered(self) -> list[tuple[int | str, Value]]:
        """Those that are known one by one, by place or by name."""
        return [*enumerate(self.positional), *self.keywords]

    @property
    def values(self) -> tuple[Value, ...]:
        """All of them."""
        return (*self.positional, *[value for _, value in self.keywords], self.rest)


class Methods(Expressions):
    """Calls of `value.name(...)` for values of torch and containers."""

    pending = 0
    """What was handed to calls that are not known, in the statement that runs."""

    def call(self, callee: Value, arguments: Arguments, node: ast.Call) -> Value:
        """What calling `callee` returns."""
        raise NotImplementedError

    def flow_of(self, arguments: Arguments) -> Value:
        """All that the arguments depend on."""
        return blend([value if value.what is None else self.flow(value) for value in arguments.values])

    def mutate(self, target: ast.expr, value: Value) -> None:
        """Something of `value` was written into what `target` names."""
        root = target
        while isinstance(root, (ast.Subscript, ast.Attribute, ast.Call, ast.Starred)):
            if isinstance(root, ast.Attribute) and isinstance(root.value, ast.Name) and isinstance(self.evaluate(root.value).what, Thing):
                break
            root = root.func if isinstance(root, ast.Call) else root.value
        if not isinstance(root, (ast.Name, ast.Attribute)):
            return
        old = self.evaluate(root)
        if isinstance(old.what, Container):
            content = self.heap.get(old.what.key, NOTHING)
            self.heap[old.what.key] = Value(0, (), Each(join(self.element(content), value)))
            return
        new = Value(*blend([old, value])[:2], old.what if isinstance(old.what, (Unit, Leaf, Thing, Stateless)) else None)
        aliases = [name for name, other in self.frame.env.items() if other is old and old.every]
        self.assign(root, new)
        for name in aliases:
            self.frame.env[name] = new

    # Tensors

    def tensor_method(self, base: Value, name: str, arguments: Arguments, node: ast.Call, target: ast.expr) -> Value:
        """`base.name(...)` for a tensor, or for something that is not known."""
        leaf = base.what.__class__ in _LEAVES
        flow, given = self.flow(base), self.flow_of(arguments)
        if name in SPECIAL:
            special = self._special_method(base, name, arguments, node, target)
            if special is not None:
                return special
        known = self.operation(name, flow, given, arguments, node, method=True)
        if known is not None:
            return known
        if name in ADDS:
            self.escaped |= given.live
            self.mutate(target, given)
            return flow
        if name.endswith("_") and not name.endswith("__"):
            return self._in_place(base, flow, given, target, leaf)
        if leaf and name in RESHAPES:
            value = self.computed(blend([flow, given]))
            return Value(value.live, value.cuts, Leaf())
        if name in MAY_RETURN_ITSELF:
            return self.maybe_computed(blend([flow, given]))
        self.pending |= given.live | flow.live
        return self.computed(blend([flow, given, self.called_back(arguments, node)]))

    def _special_method(self, base: Value, name: str, arguments: Arguments, node: ast.Call, target: ast.expr) -> Value | None:
        """One of SPECIAL, None where it is nothing special for this value."""
        leaf = base.what.__class__ in _LEAVES
        flow, given = self.flow(base), self.flow_of(arguments)
        if name in ("detach", "detach_", "clone_detached"):
            value = self.cut(flow, CutReason.DETACH, node)
            if name == "detach_":
                self.assign_over(target, value)
            return Value(value.live, value.cuts, Leaf()) if leaf else value
        if name == "requires_grad_":
            value = self._requires_grad(base, arguments)
            if value is not base and not leaf:
                self.assign_over(target, value)
            return value
        if name == "numpy" or name == "__array__":
            return self.cut(flow, CutReason.NUMPY, node)
        if name in ("item", "tolist"):
            return self.cut(flow, CutReason.HOST_SCALAR, node)
        if name == "backward":
            self.escaped |= flow.live | given.live
            return NOTHING
        if name == "sample" and isinstance(base.what, Stateless):
            return self.cut(flow, CutReason.NO_DERIVATIVE, node)
        if name == "enter_context":
            self._enter(arguments.get(0))
            return arguments.get(0) or NOTHING
        return self.cut(given, CutReason.TENSOR_COPY, node) if name == "new_tensor" else None

    def operation(self, name: str, flow: Value, given: Value, arguments: Arguments, node: ast.Call, *, method: bool) -> Value | None:
        """An operation that torch has as a function and as a method, None where nothing special is known of it.

        `flow` and `given`: what the tensor and the arguments depend on.
        """
        if name in WITHOUT_VALUES:
            return NOTHING
        if name not in OPERATIONS:
            return None
        both = blend([flow, given])
        if name in NO_DERIVATIVE:
            return self.cut(both, CutReason.NO_DERIVATIVE, node)
        dim = arguments.get(0 if method else 1, "dim")
        pair = name in VALUE_AND_INDEX or (name in VALUE_AND_INDEX_WITH_DIM and dim is not None and isinstance(dim.what, Const))
        if pair:
            index = self.cut(both, CutReason.NO_DERIVATIVE, node)
            return Value(0, (), Items((self.computed(both), index), ("values", "indices")))
        if name in TO_INTEGER or (name in ("to", "type", "type_as") and self._asks_integer(arguments)):
            return self.cut(both, CutReason.INTEGER_CAST, node)
        return None

    def _asks_integer(self, arguments: Arguments) -> bool:
        for value in arguments.values:
            what = value.what
            if isinstance(what, Qualified) and what.name.startswith("torch.") and what.name.rpartition(".")[2] in INTEGER_TYPES:
                return True
            if isinstance(what, Const) and isinstance(what.value, str) and what.value.rpartition(".")[2] in INTEGER_TYPES:
                return True
        return False

    def _requires_grad(self, base: Value, arguments: Arguments) -> Value:
        wanted = arguments.get(0, "requires_grad")
        flow = self.flow(base)
        if wanted is not None and not (isinstance(wanted.what, Const) and wanted.what.value is True):
            self.frozen |= flow.every
            return base
        # A leaf on purpose, whose gradient the program fetches itself: what lies behind it is not known to be lost.
        return Value(flow.every, (), base.what)

    def _enter(self, context: Value | None) -> None:
        if context is not None and isinstance(context.what, Region):
            self.mode = self.mode_in(context.what)

    def mode_in(self, region: Region) -> int:
        """The mode of gradients inside a region."""
        return self.mode if region.mode == KEEP else region.mode

    def _in_place(self, base: Value, flow: Value, given: Value, target: ast.expr, leaf: bool) -> Value:
        value = self.computed(blend([flow, given]))
        if leaf and not self.building:
            self.written |= flow.every
        if given.every:
            self.mutate(target, self.computed(given))
        return Value(value.live, value.cuts, base.what if leaf else None)

    def assign_over(self, target: ast.expr, value: Value) -> None:
        """`target` was changed in place, and is `value` from here on; where it is no name, nothing is known to have changed."""
        if isinstance(target, (ast.Name, ast.Attribute)):
            self.assign(target, value)

    # Modules

    def module_method(self, base: Value, name: str, arguments: Arguments, node: ast.Call, target: ast.expr) -> Value:
        """`base.name(...)` for a module that is not looked into."""
        if isinstance(base.what, Unit) and base.what.is_parameter:
            return self.tensor_method(base, name, arguments, node, target)
        flow = self.flow(base)
        if name in ("forward", "__call__"):
            return self.call(base, arguments, node)
        if name in RETURNS_THE_MODULE:
            return base
        if name == "eval":
            self._states_eval(flow)
            return base
        if name == "requires_grad_":
            self._requires_grad(base, arguments)
            return base
        if name in LISTS_PARAMETERS:
            return self.listed_parameters(flow, named=name.startswith("named_"))
        if name in ("load_state_dict", "copy_"):
            self.written |= 0 if self.building else flow.every
            return NOTHING
        if name in ("state_dict", "extra_repr", "named_buffers", "buffers", "register_buffer", "register_forward_hook"):
            return NOTHING
        if name in ADDS | {"add_module"}:
            return self.maybe_computed(blend([flow, self.flow_of(arguments)]))
        return self.computed(blend([flow, self.flow_of(arguments), self.called_back(arguments, node)]))

    def _states_eval(self, flow: Value) -> None:
        """`self.backbone.eval()` where the model is built or switched to training says that it is not trained here."""
        if self.building or self.frame.function.rpartition(".")[2] in ("train", "on_train_start", "on_fit_start", "setup"):
            self.frozen |= flow.every

    def listed_parameters(self, flow: Value, *, named: bool) -> Value:
        """What `parameters()` or `named_parameters()` yields."""
        leaf = Value(flow.live, flow.cuts, Leaf())
        return Value(0, (), Each(Value(0, (), Items((NOTHING, leaf))) if named else leaf))

    # Containers

    def container_method(self, base: Value, name: str, arguments: Arguments) -> Value | None:
        """`base.name(...)` for a list, dict, set or ModuleList, None where it has no such method."""
        what = base.what
        content = self.heap.get(what.key, NOTHING) if isinstance(what, Container) else base
        given = list(arguments.positional)
        if name in ADDS and isinstance(what, Container):
            self._add(what.key, content, name, arguments)
            return NOTHING if name != "setdefault" else (given[-1] if given else NOTHING)
        if name in ("get", "pop", "popitem", "popleft", "__getitem__"):
            key = given[0].what.value if given and isinstance(given[0].what, Const) else None
            found = self.member(base, key) if key is not None else None
            rest = given[1:] if name in ("get", "pop") and len(given) > 1 else []
            member = join_all(members_of(content.what)) if found is None else found
            return join_all([member, *rest]) if rest else member
        if name == "values":
            return Value(0, (), Each(join_all(members_of(content.what))))
        if name == "items":
            return Value(0, (), Each(Value(0, (), Items((NOTHING, join_all(members_of(content.what)))))))
        if name in ("copy", "__iter__", "__reversed__"):
            return base
        if name in ("keys", "index", "count", "clear", "remove", "sort", "reverse", "__len__", "discard"):
            return NOTHING
        return None

    def _add(self, key: Any, content: Value, name: str, arguments: Arguments) -> None:
        given = list(arguments.positional)
        known = isinstance(content.what, Items) and content.what.keys is None and len(content.what.members) < LONGEST_LIST
        if name == "append" and known and not self.loops and len(given) == 1:
            self.heap[key] = Value(0, (), Items((*content.what.members, given[0])))
            return
        if name == "update" and arguments.keywords and not given and isinstance(content.what, Items) and not self.loops:
            old = dict(zip(content.what.keys or (), content.what.members, strict=False))
            new_members = {**old, **dict(arguments.keywords)}
            if content.what.keys is not None or not content.what.members:
                self.heap[key] = Value(0, (), Items(tuple(new_members.values()), tuple(new_members)))
                return
        spread = name in ("extend", "update")
        new = [self.element_or_values(value) if spread else value for value in (given if spread else given[-1:])]
        new += [value for _, value in arguments.keywords]
        self.heap[key] = Value(0, (), Each(join_all([*members_of(content.what), *new])))

    def element_or_values(self, value: Value) -> Value:
        """What `extend` or `update` takes out of `value`."""
        content = self.heap.get(value.what.key, NOTHING) if isinstance(value.what, Container) else value
        return join_all(members_of(content.what)) if isinstance(content.what, (Items, Each)) else self.element(value)

    def called_back(self, arguments: Arguments, node: ast.Call) -> Value:
        """What functions that are handed to an unknown call may return, called with the other arguments."""
        raise NotImplementedError
