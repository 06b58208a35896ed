"""What one run told: facts, in plain values, with no judgement. The product of `capture`, and all that verdicts and checks may read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gradflow.graph.flow import FlowGraph
from gradflow.graph.site import Site


class TargetKind(str, Enum):
    """What was audited."""

    SCRIPT = "script"
    NOTEBOOK = "notebook"
    COMMAND = "command"
    CALL = "call"  # a forward call that the file makes itself
    MODULE = "module"  # an nn.Module named by `file.py:attr`
    CLASS = "class"
    API = "api"  # a live object in Python
    SOURCE = "source"  # read, not run


@dataclass(frozen=True, slots=True)
class Target:
    """What was audited, and the command line that audits it again."""

    kind: TargetKind
    file: str
    reproduce: str


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
    """

    step: int
    reached: bool
    delivered: bool
    grad_norm: float | None = None
    finite: bool = True
    scale: float | None = None


@dataclass(frozen=True, slots=True)
class ParameterFact:
    """One trainable leaf. `name` is relative to the root, and prefixed by the root's variable where there are several roots.

    `root`: the root module's variable (`model`), or its class name; `owner`: path of the module that holds it; `owner_class`: its class.
    `definition`: where it, or the module that holds it, is assigned in `__init__` (for RECREATED: the constructor call).
    `optimizers`: names of those that hold it. `stepped`: one of these took a step. `moved`: its value changed between first and last
    watched moment (None: not known). `written`: its value was written between watched steps by something else than an optimizer.
    `opaque`: why this run cannot tell, empty where it can. `siblings_trained`: another parameter of the same root got a gradient.
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
    opaque: str = ""
    steps: tuple[StepFact, ...] = ()


@dataclass(frozen=True, slots=True)
class OptimizerFact:
    """One optimizer: its variable's name, its class, where it was built, how many steps it took."""

    name: str
    kind: str
    site: Site | None
    steps: int


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
class Recording:
    """All that one run told. `crash` is the user's own traceback where the program raised, and `ended` says how the run ended."""

    target: Target
    graph: FlowGraph
    parameters: tuple[ParameterFact, ...] = ()
    optimizers: tuple[OptimizerFact, ...] = ()
    backward_passes: int = 0
    optimizer_steps: int = 0
    rebuilt: tuple[LossRebuilt, ...] = ()
    dropped: tuple[GradientDropped, ...] = ()
    notes: tuple[str, ...] = ()
    crash: str = ""
    timed_out: bool = False
