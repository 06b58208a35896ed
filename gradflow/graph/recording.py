"""What one run told: facts, in plain values, with no judgement. The product of `capture`, and all that verdicts and checks may read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gradflow.graph.flow import FlowGraph
from gradflow.graph.site import Site
from gradflow.graph.target import Target as Target
from gradflow.graph.target import TargetKind as TargetKind


class Membership(str, Enum):
    """Where a trainable leaf lives."""

    REGISTERED = "registered"  # in some root module's `parameters()`
    HIDDEN = "hidden"  # held by a module's attribute, list or dict, but in no module's `parameters()`
    LOOSE = "loose"  # a leaf of the script itself, in no module
    RECREATED = "recreated"  # made anew inside `forward` in every step


@dataclass(frozen=True, slots=True)
class StepFact:
    """What one step brought one parameter. A step is a step of an optimizer that holds it, else one backward pass.

    `reached`: autograd's graph led from a loss to it. `delivered`: `.grad` was there when the step was taken.
    `grad_norm`: L2 norm over all elements, None where nothing was delivered; `finite`: no NaN or Inf in the gradient.
    `scale`: the largest gradient norm of any parameter of the same module in that step, for the relative noise floor.
    `lr`: the learning rate of its group, None where no optimizer stepped. `cleared`: a gradient had arrived, and `zero_grad` took it away
    before the step. `moved`: the step changed the value, None where that was not measured. `frozen`: it did not require a gradient when
    the step was taken. `stale_norm`: L2 norm of what lay in `.grad` without a backward pass of this step, None where nothing did.
    `update_ratio`: |dw|/|w| of the step, of L2 norms, None where nobody asked for it.
    """

    step: int
    reached: bool
    delivered: bool
    grad_norm: float | None = None
    finite: bool = True
    scale: float | None = None
    lr: float | None = None
    cleared: bool = False
    moved: bool | None = None
    frozen: bool = False
    stale_norm: float | None = None
    update_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class ParameterFact:
    """One trainable leaf. `name` is relative to the root, and prefixed by the root's variable where there are several roots.

    `root`: the root module's variable (`model`), or its class name; `owner`: path of the module that holds it; `owner_class`: its class.
    `definition`: where it, or the module that holds it, is assigned in `__init__` (for RECREATED: the constructor call).
    `optimizers`: names of those that hold it. `stepped`: one of these took a step. `moved`: its value changed between first and last
    watched moment (None: not known). `written`: its value was written between watched steps by something else than an optimizer.
    `evaluating`: its root module ran in eval mode. `twin`: the name of another root, or of another child of the same module, with the same
    class and shapes, empty if there is none. `made_late`: it was made after every optimizer of the program was built. `thawed`: it was
    frozen when the optimizers were built, and requires a gradient now. `peak_lr`: the highest learning rate that its group is known to
    reach. `largest_weight`: the largest absolute value in it. `cast`: where it was turned into half precision (`.to(torch.bfloat16)`,
    `.half()`), None where that was not seen. `frozen_at`: where it was frozen last, likewise. `decayed`: its group has a weight decay.
    `resets`: how many steps began, though others had been taken, with the very value from before the first one; `written_at`: where
    something else than an optimizer wrote its value last.
    `opaque`: why this run cannot tell, empty where it can. `siblings_trained`: another parameter of the same root got a gradient.
    `zero_share`: the share of exact zeros in what its module gave, None where nobody asked.
    """

    name: str
    root: str
    shape: tuple[int, ...]
    elements: int
    dtype: str
    requires_grad: bool
    membership: Membership = Membership.REGISTERED
    owner: str = ""
    owner_class: str = ""
    definition: Site | None = None
    optimizers: tuple[str, ...] = ()
    stepped: bool = False
    moved: bool | None = None
    written: bool = False
    weight_norm: float | None = None
    siblings_trained: bool = False
    evaluating: bool = False
    twin: str = ""
    made_late: bool = False
    thawed: bool = False
    peak_lr: float | None = None
    largest_weight: float | None = None
    cast: Site | None = None
    frozen_at: Site | None = None
    decayed: bool = False
    resets: int = 0
    written_at: Site | None = None
    opaque: str = ""
    zero_share: float | None = None
    steps: tuple[StepFact, ...] = ()


@dataclass(frozen=True, slots=True)
class OptimizerFact:
    """One optimizer: its variable's name, its class, where it was built, how many steps it took.

    `held` counts its parameters, `trainable` those that require a gradient. `scheduled`: a schedule changes its learning rate.
    `waited`: how many steps other optimizers took, or backward passes were made, while it took none. `empty_group`: one of its groups has
    no parameter at all. `losses`: those (nodes of the flow graph) whose passes came last before its steps: what it was to make smaller.
    """

    name: str
    kind: str
    site: Site | None
    steps: int
    held: int = 0
    trainable: int = 0
    scheduled: bool = False
    waited: int = 0
    empty_group: bool = False
    losses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LossRebuilt:
    """A backward root that is a fresh leaf, made from differentiable values: `node` in the flow graph, and the rebuilding line."""

    node: int
    site: Site | None


@dataclass(frozen=True, slots=True)
class GradientDropped:
    """A custom Function's backward gave None where a parameter waited: the Function's name, the `return` and the parameters' indices."""

    function: str
    site: Site | None
    parameters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GradientCleared:
    """A `zero_grad` between a backward pass and the step of an optimizer: where it stands, and whose gradients it took (indices)."""

    optimizer: str
    site: Site | None
    parameters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StaleOptimizer:
    """An optimizer that holds tensors which belong to no module any more. `replacement`: where the new ones took their place;
    `parameters`: the new ones (indices), which it does not hold; `old`: names of the tensors that it holds in vain."""

    optimizer: str
    site: Site | None
    replacement: Site | None
    parameters: tuple[int, ...]
    old: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestlessStatistics:
    """A normalisation layer whose parameters (indices) were frozen at every backward pass seen, and whose running statistics moved all the
    same: its path and class."""

    module: str
    kind: str
    parameters: tuple[int, ...]


class Trouble(str, Enum):
    """What goes wrong in the numbers of a backward pass."""

    ZERO = "zero"
    NONFINITE = "nonfinite"


class Operand(str, Enum):
    """What makes an operation's derivative zero: what a fault would have to be mended in."""

    CONSTANT = "constant"  # a number, or a derivative that is zero everywhere (sign, round)
    SHAPE = "shape"  # one element where several were meant (softmax, norm)
    PARAMETER = "parameter"  # a value that parameters have a part in (a dead ReLU)
    BATCH = "batch"  # this batch's data alone (a mask, a reward of zero)
    CANCELLED = "cancelled"  # one value taken twice, whose gradients cancel (`a - a`)
    HOOK = "hook"  # a hook of the program's own on the gradient
    OVERWRITTEN = "overwritten"  # `.grad` was written between the backward pass and the step (clipped to a norm of 0)


@dataclass(frozen=True, slots=True)
class NumericOrigin:
    """The operation at which a gradient becomes zero, or NaN or Inf, on its way back, in every step in which that was looked at.

    `operation` is the call as written (`relu`), `autograd` its backward node; `node` its number in the flow graph (-1: none).
    `satisfied`: nothing but sums and constants stand between it and a loss that is zero there: a hinge that is met.
    `forward_finite`: what went into the loss was finite; False where NaN was there before any backward pass. `meant`: what makes the
    gradient zero is written to do so: a hook that gives zeros, a write to some of the gradients of an optimizer and not to all.
    """

    trouble: Trouble
    operation: str
    autograd: str
    site: Site | None
    node: int
    parameters: tuple[int, ...]
    operand: Operand = Operand.PARAMETER
    satisfied: bool = False
    forward_finite: bool = True
    meant: bool = False


@dataclass(frozen=True, slots=True)
class Recording:
    """All that one run told. `crash` is the user's own traceback where the program raised.

    `guessed`: the inputs that gradflow made up, as text, empty where they are the user's own. `unasked`: the argument by which the model
    computes a loss of its own, and that could not be made up.
    """

    target: Target
    graph: FlowGraph
    parameters: tuple[ParameterFact, ...] = ()
    optimizers: tuple[OptimizerFact, ...] = ()
    backward_passes: int = 0
    optimizer_steps: int = 0
    rebuilt: tuple[LossRebuilt, ...] = ()
    dropped: tuple[GradientDropped, ...] = ()
    cleared: tuple[GradientCleared, ...] = ()
    stale: tuple[StaleOptimizer, ...] = ()
    restless: tuple[RestlessStatistics, ...] = ()
    origins: tuple[NumericOrigin, ...] = ()
    notes: tuple[str, ...] = ()
    crash: str = ""
    timed_out: bool = False
    guessed: str = ""
    unasked: str = ""


@dataclass(frozen=True, slots=True)
class RankRecording:
    """What one of several processes of a program told."""

    rank: int
    recording: Recording


@dataclass(frozen=True, slots=True)
class Turned:
    """A parameter that got a gradient at the watched step `live` and no good one at the watched step `lost`."""

    name: str
    live: int
    lost: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What was recorded after parameters of a long training had stopped to learn: `turned` says which, and between which steps."""

    recording: Recording
    turned: tuple[Turned, ...]
