"""Has torchviz draw the backward graph of a loss while its tensors are there, and keeps the drawing as DOT statements with names of ours.

Only where a drawing was asked for: no other run imports torchviz. A graph that torchviz cannot draw has none, and the view draws it by a
loop of its own.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gradflow.capture.training.autograd_walk import Walk
from gradflow.graph.flow import BackwardDrawing

MOST_NODES = 800
"""torchviz recurses: near 1,000 chained operations it raises RecursionError."""
MOST_USES = 24
"""A leaf with so many edges makes Graphviz search for minutes, as the weights of a recurrent net do."""
_STATEMENT = re.compile(r"\t(\d+)(?: -> (\d+))?( \[.*\])?\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RawDrawing:
    """The statements of torchviz's graph, with `n4` for the fourth node of `walk` and `leaf7` for the leaf of serial 7."""

    statements: tuple[str, ...]
    walk: Walk


def draw_backward(found: Walk, roots: Sequence[Any]) -> RawDrawing | None:
    """torchviz's drawing of the graph that `found` walked, None where it has no part in it: too large, no tensor to begin from, a custom
    Function that keeps tensors (torchviz would unpack them, and so run a checkpointed part again), or torchviz is not there."""
    tensors = [root for root in roots if isinstance(root, torch.Tensor)]
    if not tensors or len(tensors) < len(roots) or not 0 < len(found.kinds) <= MOST_NODES:
        return None
    if _most_uses(found) > MOST_USES or any(function._raw_saved_tensors for function in found.functions):
        return None
    names = {f"leaf{serial}": leaf for serial, leaf in zip(found.leaf_serials, found.leaves, strict=True) if serial}
    try:
        with warnings.catch_warnings():
            # torchviz 0.0.3 compares versions with distutils, which has been deprecated since Python 3.10.
            warnings.simplefilter("ignore", DeprecationWarning)
            import torchviz  # imported here: costs an import that only this drawing needs

            body = torchviz.make_dot(tuple(tensors), params=names).body
    except (ImportError, RecursionError, RuntimeError, AttributeError):
        # A graph whose saved tensors were overwritten, a node that has no size: the drawing is left out, and nothing else.
        return None
    ids = {str(id(node)): f"n{number}" for number, node in enumerate(found.nodes)}
    ids.update({str(id(leaf)): f"leaf{serial}" for serial, leaf in zip(found.leaf_serials, found.leaves, strict=True) if serial})
    return RawDrawing(tuple(_renamed(line, ids) for line in body), found)


def finished(
    raw: RawDrawing, parameters: Mapping[int, int], names: Sequence[str], node_of: Callable[[Walk, int, int], int]
) -> BackwardDrawing:
    """The drawing with the names of parameters: `parameters` has the index of each by serial, `node_of` the flow node of a walk's node."""
    statements = []
    for line in raw.statements:
        for serial in set(re.findall(r"\bleaf(\d+)\b", line)):
            index = parameters.get(int(serial), -1)
            if index >= 0:
                # First the label, which holds what the user wrote, then the id.
                line = re.sub(rf'\[label="leaf{serial}\n', lambda _: f'[label="{_quoted(names[index])}\n', line)  # noqa: B023
                line = re.sub(rf"^\tleaf{serial}\b", f"\tp{index}", line)
        statements.append(line.replace("\n", "\\n").strip())
    explains = tuple(node_of(raw.walk, number, sequence) for number, sequence in enumerate(raw.walk.sequences))
    return BackwardDrawing(tuple(statements), explains)


def _most_uses(found: Walk) -> int:
    uses: dict[int, int] = {}
    for tail in found.tails:
        uses[tail] = uses.get(tail, 0) + 1
    return max((uses.get(node, 0) for node in found.leaf_nodes), default=0)


def _renamed(line: str, ids: dict[str, str]) -> str:
    """A statement with identities, which differ from run to run, replaced; what is no node of the walk is `t0`, `t1` in its order."""
    match = _STATEMENT.fullmatch(line)
    if match is None:
        return line
    first, second, attributes = match.groups()
    for word in (first, second):
        if word is not None:
            ids.setdefault(word, f"t{len(ids)}")
    arrow = f" -> {ids[second]}" if second is not None else ""
    return f"\t{ids[first]}{arrow}{attributes or ''}"


def _quoted(name: str) -> str:
    return " ".join(name.split()).replace("\\", "\\\\").replace('"', '\\"')
