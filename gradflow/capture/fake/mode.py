"""The mode in which torch computes shapes and no values. Small values that are known without any parameter are computed all the same.

What a model decides from its inputs (lengths, masks, token ids, a schedule of rates) is mostly small, and known. Such tensors carry their
value along; torch calls it a constant of the fake tensor. So a branch on the data takes the way that it takes in a real run.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorConverter,
    FakeTensorMode,
    UnsupportedOperatorException,
)
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from gradflow.capture.fake.answers import Answers
from gradflow.capture.fake.devices import here, stay_on_the_cpu
from gradflow.capture.fake.expected import expect
from gradflow.capture.fake.host import answer_on_the_host
from gradflow.capture.fake.packed import pack_by_numbers
from gradflow.capture.fake.sizes import SIZED_BY_DATA, give, grouped_product
from gradflow.capture.flow.patches import Patches
from gradflow.errors import REMARK, FakeBreak, GradflowError

KNOWN_FLOATS = 4_096
KNOWN_INTEGERS = 65_536
"""The largest tensors, in elements, whose values are computed: a linear schedule, a batch of token ids, the mask of a sequence."""

_GROUPED = getattr(torch.ops.aten._grouped_mm, "default", None) if hasattr(torch.ops.aten, "_grouped_mm") else None
_LOG = logging.getLogger("torch._subclasses.fake_tensor")
_aten = torch.ops.aten
_SCALARS = (_aten._local_scalar_dense.default, _aten.item.default)
_MAKERS = frozenset({
    "arange", "zeros", "ones", "full", "eye", "linspace", "logspace", "scalar_tensor", "tril_indices", "triu_indices", "rand", "randn",
    "randint", "randperm", "hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window",
})  # fmt: skip
"""Operations that make a tensor of numbers and take none."""
_FILLED = {"zeros_like": 0, "new_zeros": 0, "ones_like": 1, "new_ones": 1}


class _Converter(FakeTensorConverter):
    """Makes fake tensors of real ones. Small data keep their values; a parameter does not, since training would change it."""

    def from_real_tensor(self, fake_mode: Any, t: torch.Tensor, make_constant: bool = False, *args: Any, **kwargs: Any) -> Any:
        known = make_constant or (type(t) is torch.Tensor and not t.requires_grad and fake_mode.may_turn_const(t))
        return super().from_real_tensor(fake_mode, t, known, *args, **kwargs)


class FakeMode(FakeTensorMode):
    """torch's mode, which never fails for want of a value. `answers` are those that it gave, `notes` sentences on them."""

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.fake_tensor_converter = _Converter()
        self.answers = Answers()
        self._depth = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report has to tell: that no numbers were computed, and where the program asked for some."""
        return self.answers.notes()

    def explain(self, error: BaseException) -> FakeBreak | None:
        """What is wrong in a sentence, where an error comes from a function in C++ that reads memory past the dispatcher, or from a tensor
        of a class of its own.

        To any other error of the program's the last answer is added as a note, since it may have led there.
        """
        if "data is not allocated yet" in str(error):
            return FakeBreak(self.answers.refusal("a compiled function reads memory", error))
        if "python object of type FakeTensor" in str(error):
            return FakeBreak(self.answers.refusal("a lazy parameter, or another kind of tensor of its own, is made", error))
        if self.answers.last() and hasattr(error, "add_note") and not isinstance(error, GradflowError):
            error.add_note(f"{REMARK}values were not computed (--fake), and {self.answers.last()}")
        return None

    def may_turn_const(self, t: torch.Tensor) -> bool:
        """Whether the value of a tensor is kept."""
        limit = KNOWN_FLOATS if t.is_floating_point() or t.is_complex() else KNOWN_INTEGERS
        return (
            t.numel() <= limit
            and t.layout is torch.strided
            and not isinstance(t, FakeTensor)
            and not is_traceable_wrapper_subclass(t)
            and t.device.type != "meta"
        )

    def dispatch(self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """The fake output of one operation of torch's dispatcher."""
        kwargs = here(kwargs) if kwargs else {}
        if func in SIZED_BY_DATA or func in _SCALARS or func is _aten.equal.default:
            return self._asked(func, args, kwargs)
        if func is _GROUPED:
            with self:
                return grouped_product(*args, **kwargs)
        self._depth += 1
        try:
            out = super().dispatch(func, types, args, kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            raise FakeBreak(self.answers.refusal(f"`{func}` needs the values of its input")) from error
        except UnsupportedOperatorException as error:
            raise FakeBreak(self.answers.refusal(f"`{func}` has no rule for the shape of its output")) from error
        finally:
            self._depth -= 1
        # Deeper down torch's rules for shapes run, and what they fill with numbers stands for any.
        if isinstance(out, FakeTensor) and out.constant is None and not self._depth:
            known = self._made(func, out, args, kwargs)
            if known is not None:
                return known
            expect(func, out, args)
        return out

    def _asked(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The output of an operation that reads values: the true one where all of them are known, else an answer."""
        known = [self._known(value) for value in args]
        if all(value is not None or not isinstance(given, torch.Tensor) for value, given in zip(known, args, strict=True)):
            with no_dispatch():
                out = func(*[given if value is None else value for value, given in zip(known, args, strict=True)], **kwargs)
            return torch.utils._pytree.tree_map_only(torch.Tensor, lambda t: self.fake_tensor_converter.from_real_tensor(self, t), out)
        if func is _aten.equal.default:
            return args[0] is args[1] or self.answers.truth(None)
        if func in _SCALARS:
            return self.answers.number(args[0])
        self.answers.size()
        with self:
            return give(func, args, kwargs)

    def _known(self, value: Any) -> torch.Tensor | None:
        if isinstance(value, FakeTensor):
            return value.constant
        return value if isinstance(value, torch.Tensor) else None

    def _made(self, func: Any, out: FakeTensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The output of a call that makes a small tensor of numbers that are known, with these numbers."""
        limit = KNOWN_FLOATS if out.is_floating_point() or out.is_complex() else KNOWN_INTEGERS
        if out.numel() > limit or out.device.type != "cpu" or not isinstance(func, torch._ops.OpOverload):
            return None
        name = func._schema.name.removeprefix("aten::")
        filled = _FILLED.get(name)
        if filled is not None and out.is_floating_point():
            return None  # a backward pass begins so, and would be computed with values
        if filled is not None:
            with no_dispatch():
                real = torch.full(out.shape, filled, dtype=out.dtype)
        elif name in _MAKERS:
            with no_dispatch():
                real = func(*args, **kwargs)
        else:
            return None
        return self.fake_tensor_converter.from_real_tensor(self, real, make_constant=True)


def enter_fake_mode(patches: Patches) -> FakeMode:
    """Puts the mode on, for good; `patches` are to be restored where it is left. To be called before a recorder is made."""
    mode = FakeMode()
    answer_on_the_host(patches, mode.answers)
    pack_by_numbers(patches, mode.answers)
    stay_on_the_cpu(patches)
    # torch logs a traceback for each shape that does not fit, even where the program catches the error.
    patches.put(_LOG, "disabled", True)
    mode.__enter__()
    return mode


@contextlib.contextmanager
def fake_mode() -> Iterator[FakeMode]:
    """Inside it all that torch makes is fake. What asks for values is answered, `torch.save` writes nothing, all else is as ever.

    Where the mode is on already, that one is given: tensors of two modes do not mix.
    """
    current = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE)
    if isinstance(current, FakeMode):
        yield current
        return
    patches = Patches()
    mode = enter_fake_mode(patches)
    try:
        yield mode
    except Exception as error:
        refusal = mode.explain(error)
        if refusal is not None:
            raise refusal from error
        raise
    finally:
        mode.__exit__(None, None, None)
        patches.restore()
