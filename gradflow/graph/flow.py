"""The flow graph: how values went from parameters to the loss, and over which of these ways a gradient comes back.

Frozen, torch-free, no IO. Nodes are numbered in capture order, so an edge always goes from a lower number to a higher one. Edges stand in
flat integer arrays: a training step can have a million of them.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from enum import Enum

from gradflow.errors import InvariantError
from gradflow.graph.site import Site


class NodeKind(str, Enum):
    """What a node stands for."""

    PARAMETER = "parameter"  # a leaf that can be trained; written again, it gets a new node with the same `parameter`
    INPUT = "input"  # data: a tensor that no parameter had a part in
    OPERATION = "operation"  # one call that the user's program made
    HOST = "host"  # the value left torch: a Python number, an array, a string
    AUTOGRAD = "autograd"  # a backward node that no recorded call explains


class EdgeKind(str, Enum):
    """Whether a gradient comes back over an edge. Order of strength: LIVE, CUT, INERT."""

    LIVE = "live"  # proved: autograd connects the input with the output
    CUT = "cut"  # the operation would stop a gradient
    INERT = "inert"  # the input carries no gradient and the operation is harmless


class CutReason(str, Enum):
    """Why a gradient stops at an edge: the `reason` of GF101."""

    NO_GRAD = "no-grad"
    INFERENCE_MODE = "inference-mode"
    DETACH = "detach"
    DATA = "data"
    NUMPY = "numpy"
    HOST_SCALAR = "host-scalar"
    TENSOR_COPY = "tensor-copy"
    PARAMETER_REWRAP = "parameter-rewrap"
    INTEGER_CAST = "integer-cast"
    NO_DERIVATIVE = "no-derivative"
    CUSTOM_FUNCTION = "custom-function"
    REENTRANT_CHECKPOINT = "reentrant-checkpoint"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True)
class Cut:
    """One thing that stops gradients. `site` indexes `FlowGraph.sites` (-1: unknown); `label` is what the user wrote, as
    `torch.no_grad()` or `.detach()`. A region (a `with` block, a decorated function) is paid once however many operations run in it."""

    reason: CutReason
    site: int
    label: str
    region: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `label` is the call's name (`linear`, `detach`), the parameter's name, or the host call (`item()`).

    `module` is the path of the running `nn.Module`; `site` indexes `FlowGraph.sites` (-1: none); `parameter` indexes the recording's
    parameters (-1: none); `region` indexes `FlowGraph.cuts` where gradients were switched off while it ran (-1: they were on);
    `autograd` is the name of the backward node (`AddmmBackward0`, empty: none); `step` counts the backward passes before it.
    """

    kind: NodeKind
    label: str
    module: str = ""
    site: int = -1
    parameter: int = -1
    region: int = -1
    autograd: str = ""
    step: int = 0


_KINDS = (EdgeKind.LIVE, EdgeKind.CUT, EdgeKind.INERT)
_CODES = {kind: code for code, kind in enumerate(_KINDS)}


@dataclass(frozen=True, slots=True)
class BackwardDrawing:
    """torchviz's drawing of the backward graph of the first loss, kept only where it was asked for.

    `statements` are its DOT statements, in which a parameter is node `p` and its number, a backward node `n` and its own. `explains[i]`
    is the node of the flow graph to which backward node `ni` belongs, -1 where there is none.
    """

    statements: tuple[str, ...] = ()
    explains: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowGraph:
    """Nodes in capture order, edges in flat arrays (data flows from `sources[i]` to `targets[i]`), and the loss nodes.

    `kinds[i]` codes the `EdgeKind` (see `kind_of`); `edge_cuts[i]` indexes `cuts`, or is -1 where the edge is not cut.
    """

    nodes: tuple[Node, ...] = ()
    sources: array[int] = field(default_factory=lambda: array("q"))
    targets: array[int] = field(default_factory=lambda: array("q"))
    kinds: bytes = b""
    edge_cuts: array[int] = field(default_factory=lambda: array("q"))
    cuts: tuple[Cut, ...] = ()
    sites: tuple[Site, ...] = ()
    losses: tuple[int, ...] = ()
    backward: BackwardDrawing = BackwardDrawing()

    def kind_of(self, edge: int) -> EdgeKind:
        """The kind of edge number `edge`."""
        return _KINDS[self.kinds[edge]]

    def site_of(self, node: int) -> Site | None:
        """Where node number `node` was made, if that is known."""
        index = self.nodes[node].site
        return self.sites[index] if index >= 0 else None

    def check(self) -> FlowGraph:
        """Returns the graph itself if it keeps its invariants.

        Raises:
            InvariantError: naming the first invariant that does not hold.
        """
        count = len(self.nodes)
        if not len(self.sources) == len(self.targets) == len(self.kinds) == len(self.edge_cuts):
            raise InvariantError("the edge arrays of the flow graph differ in length")
        for edge, (source, target) in enumerate(zip(self.sources, self.targets, strict=True)):
            if not 0 <= source < target < count:
                raise InvariantError(f"edge {edge} goes from node {source} to {target} of {count}: not in capture order")
            cut = self.edge_cuts[edge]
            if (self.kind_of(edge) is EdgeKind.CUT) != (0 <= cut < len(self.cuts)):
                raise InvariantError(f"edge {edge} is {self.kind_of(edge).value} and names cut {cut} of {len(self.cuts)}")
        for number, node in enumerate(self.nodes):
            if node.site >= len(self.sites) or node.region >= len(self.cuts):
                raise InvariantError(f"node {number} names site {node.site} or region {node.region}, which does not exist")
            if (node.kind is NodeKind.PARAMETER) != (node.parameter >= 0):
                raise InvariantError(f"node {number} is a {node.kind.value} and names parameter {node.parameter}")
        for loss in self.losses:
            if not 0 <= loss < count:
                raise InvariantError(f"loss {loss} is no node of {count}")
        for number in self.backward.explains:
            if not -1 <= number < count:
                raise InvariantError(f"the drawing of the backward graph names node {number} of {count}")
        return self


class FlowGraphBuilder:
    """Collects nodes and edges in capture order; `build()` gives the frozen graph."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.losses: list[int] = []
        self._cuts: dict[Cut, int] = {}
        self._sites: dict[Site, int] = {}
        self._sources = array("q")
        self._targets = array("q")
        self._kinds = bytearray()
        self._edge_cuts = array("q")

    def site(self, site: Site | None) -> int:
        """The index of `site`, which is stored once; -1 for None."""
        return -1 if site is None else self._sites.setdefault(site, len(self._sites))

    def cut(self, reason: CutReason, site: Site | None, label: str, *, region: bool = False) -> int:
        """The index of a cut; equal cuts are stored once, so two passes over one line are one cut."""
        return self._cuts.setdefault(Cut(reason, self.site(site), label, region), len(self._cuts))

    def node(self, node: Node) -> int:
        """Adds a node and returns its number."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def edge(self, source: int, target: int, kind: EdgeKind, cut: int = -1) -> None:
        """Adds an edge along which data flows from `source` to `target`."""
        self._sources.append(source)
        self._targets.append(target)
        self._kinds.append(_CODES[kind])
        self._edge_cuts.append(cut)

    def build(self) -> FlowGraph:
        """The frozen graph, checked."""
        return FlowGraph(
            nodes=tuple(self.nodes),
            sources=self._sources,
            targets=self._targets,
            kinds=bytes(self._kinds),
            edge_cuts=self._edge_cuts,
            cuts=tuple(self._cuts),
            sites=tuple(self._sites),
            losses=tuple(self.losses),
        ).check()
