"""What ways to freeze a layer do, side by side: plain values, measured by one real step each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from importlib import import_module
from typing import Any

_VIEW = ("gradflow.render.freezing", "render_freezing")


class FreezeWay(str, Enum):
    """A way to freeze layers; NOTHING is the step as it is, to compare with."""

    NOTHING = "nothing"
    REQUIRES_GRAD = "requires_grad"  # `requires_grad_(False)` on its parameters
    NO_GRAD = "no_grad"  # `with torch.no_grad():` around its call
    DETACH = "detach"  # `.detach()` on what it returns
    LEFT_OUT = "left_out"  # its parameters in no optimizer
    EVAL = "eval"  # `.eval()` alone


class Arrival(str, Enum):
    """Whether a gradient arrives at a layer's own parameters."""

    ARRIVES = "arrives"
    ZERO = "zero"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class FreezeLayer:
    """A module with parameters or buffers of its own: its path, its class, and whether it is among those to freeze."""

    path: str
    kind: str
    frozen: bool
    parameters: int
    buffers: int


@dataclass(frozen=True, slots=True)
class FreezeCell:
    """What one way does to one layer. None: it has no parameters, or no buffers, of its own."""

    gradient: Arrival | None
    weights_moved: bool | None
    buffers_moved: bool | None


@dataclass(frozen=True, slots=True)
class FreezeColumn:
    """One way. `cells` are aligned with the layers.

    `died`: layers that were not to be frozen, and get a gradient under NOTHING but not here. `saved_bytes`: memory that the forward pass
    keeps for the backward pass, parameters and inputs aside. `backward_seconds`: median of several backward passes, None where none ran.
    `failure`: why there is no step this way, empty where there is one.
    """

    way: FreezeWay
    cells: tuple[FreezeCell, ...]
    died: tuple[str, ...] = ()
    saved_bytes: int = 0
    backward_seconds: float | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Moody:
    """A chosen layer (path) that holds modules whose mode matters: their classes, as BatchNorm and Dropout."""

    path: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FreezeComparison:
    """Ways to freeze `chosen` (paths) of a model of class `model`, each measured by one real step.

    `optimizer`: class of the optimizer, with its module where it is not torch's own; several have commas between, and it is empty where
    the program moves the weights itself. `variable`: what the program calls the model. `statements`: what to paste to freeze just these
    layers. `notes`: what else to know.
    """

    model: str
    chosen: tuple[str, ...]
    optimizer: str
    layers: tuple[FreezeLayer, ...]
    columns: tuple[FreezeColumn, ...]
    moody: tuple[Moody, ...] = ()
    variable: str = "model"
    statements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def column(self, way: FreezeWay | str) -> FreezeColumn:
        """What one way does to all layers."""
        return next(column for column in self.columns if column.way == FreezeWay(way))

    def cell(self, way: FreezeWay | str, layer: str) -> FreezeCell:
        """What one way does to the layer of that path.

        Raises:
            KeyError: no layer with parameters or buffers of its own has that path.
        """
        for row, cell in zip(self.layers, self.column(way).cells, strict=True):
            if row.path == layer:
                return cell
        raise KeyError(layer)

    def check(self) -> None:
        """Raises AssertionError where columns and layers do not fit."""
        assert [column.way for column in self.columns] == list(FreezeWay)
        assert all(len(column.cells) == len(self.layers) for column in self.columns)

    def to_json(self) -> str:
        """The comparison as one JSON document of schema `gradflow-freeze/1`; its fields are those of the dataclasses."""
        return json.dumps({"schema": "gradflow-freeze/1", **asdict(self)}, indent=2) + "\n"

    def to_text(self, width: int = 100) -> str:
        """The comparison as a table for a terminal of `width` columns."""
        # Looked up by name: the renderers stand in a layer above this one.
        view: Callable[..., Any] = getattr(import_module(_VIEW[0]), _VIEW[1])
        return str(view(self, width))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows of the comparison."""
        return {"text/plain": self.to_text()}


def died_of(layers: Iterable[FreezeLayer], plain: tuple[FreezeCell, ...], cells: tuple[FreezeCell, ...]) -> tuple[str, ...]:
    """Paths of layers that were not to be frozen, and get a gradient in `plain` alone."""
    return tuple(
        row.path
        for row, was, now in zip(layers, plain, cells, strict=True)
        if not row.frozen and was.gradient is Arrival.ARRIVES and now.gradient is not Arrival.ARRIVES
    )
