"""What a picture shows, before anyone chooses colours: boxes, arrows and frames. Frozen plain data, made by the views, read by renderers.

Box ids are numbers in drawing order, so that the same report gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gradflow.errors import InvariantError
from gradflow.verdict import Verdict


class Flow(str, Enum):
    """What comes back over an arrow. Order of strength, strongest first."""

    GRADIENT = "gradient"  # thick and solid
    ZERO = "zero"  # a gradient comes back, and it is exactly zero
    DEAD = "dead"  # values of parameters that were to learn; no gradient comes back
    VALUE = "value"  # values only, and nobody waits for a gradient


class Direction(str, Enum):
    """Which way the data runs on the page."""

    RIGHT = "LR"
    DOWN = "TB"


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter in a card: its last name, its shape, its verdict, and a word such as its gradient norm."""

    name: str
    shape: str
    verdict: Verdict
    word: str


@dataclass(frozen=True, slots=True)
class Card:
    """A module, or a line of functional code, with its parameters.

    `counts` holds (verdict, parameters) in the enum's order; `rows` is empty where a bar stands for them. `times` equal siblings are
    folded into it; `modules` are the paths that it stands for, and the first of them is what a click opens.
    """

    title: str
    kind: str
    verdict: Verdict
    counts: tuple[tuple[Verdict, int], ...]
    elements: int
    rows: tuple[Row, ...] = ()
    times: int = 1
    note: str = ""
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A finding, drawn where it happens: a headline, the place, and the user's lines as (number, text, lit).

    `findings` are the numbers in the report of those that it stands for. `on_path` is False for a finding that stands beside the flow, tied
    to the box that it is about.
    `intended` is one that is no fault.
    """

    headline: str
    place: str
    lines: tuple[tuple[int, str, bool], ...]
    verdict: Verdict
    findings: tuple[int, ...] = ()
    on_path: bool = True
    intended: bool = False


@dataclass(frozen=True, slots=True)
class Pill:
    """An input, an output or the loss (`strong`): a label, and a smaller line under it."""

    label: str
    detail: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Join:
    """Where branches meet: a sign such as `+`, or the name of the call."""

    sign: str
    flow: Flow


@dataclass(frozen=True, slots=True)
class Grid:
    """Norms by row and step, with the exponent's range of the scale. A cell is a level from 0 (least) to 7, or None: no gradient came."""

    rows: tuple[tuple[str, Verdict, tuple[int | None, ...]], ...]
    steps: tuple[int, ...]
    low: int
    high: int


Shape = Card | Excerpt | Pill | Join | Grid


@dataclass(frozen=True, slots=True)
class Box:
    """One thing on the page, in frame number `frame` (-1: none). `trunk` marks the longest way from the input to the loss."""

    shape: Shape
    frame: int = -1
    trunk: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """Values go from box `source` to box `target`. `skip`: it jumps over other boxes. `tie`: no flow, it ties an excerpt to its box."""

    source: int
    target: int
    flow: Flow
    label: str = ""
    skip: bool = False
    tie: bool = False
    head: bool = True


@dataclass(frozen=True, slots=True)
class Frame:
    """A border round boxes: an opened module, or a region in which gradients are off (`region`)."""

    label: str
    detail: str = ""
    parent: int = -1
    region: bool = False
    module: str = ""


class Tone(str, Enum):
    """What a node of a drawing that torchviz made is: a backward node, a tensor that is the loss, a tensor that is kept."""

    NODE = "node"
    LOSS = "loss"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class ForeignNode:
    """One node of torchviz's drawing; `verdict` where it is a parameter."""

    name: str
    label: str
    tone: Tone = Tone.NODE
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A drawing that torchviz made: its nodes and (source, target, style) of its arrows, the style empty, `none` for no head or `dotted`.

    `links` are our arrows from the box of a given number to one of its nodes.
    """

    nodes: tuple[ForeignNode, ...]
    arrows: tuple[tuple[str, str, str], ...]
    links: tuple[tuple[int, str, Flow], ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture. `description` says in words what it shows, for those who cannot see it. `foreign` is drawn among the boxes."""

    title: str
    subtitle: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...] = ()
    frames: tuple[Frame, ...] = ()
    direction: Direction = Direction.DOWN
    description: str = ""
    foreign: Foreign | None = None

    def check(self) -> Drawing:
        """Returns the drawing itself if every number in it names something that is there.

        Raises:
            InvariantError: naming the first one that does not.
        """
        for number, box in enumerate(self.boxes):
            if not -1 <= box.frame < len(self.frames):
                raise InvariantError(f"box {number} stands in frame {box.frame} of {len(self.frames)}")
        for arrow in self.arrows:
            if not (0 <= arrow.source < len(self.boxes) and 0 <= arrow.target < len(self.boxes)):
                raise InvariantError(f"an arrow goes from box {arrow.source} to {arrow.target} of {len(self.boxes)}")
        for number, frame in enumerate(self.frames):
            if not -1 <= frame.parent < number:
                raise InvariantError(f"frame {number} stands in frame {frame.parent}: not in an earlier one")
        return self
