"""Which norms share a card with the layer before or after them: in a chain of live layers they say nothing of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gradflow.verdict import Verdict
from gradflow.views.contraction import Unit
from gradflow.views.drawing import Flow
from gradflow.views.shapes import Shapes

LONGEST_TITLE = 30


def merge_norms(
    units: Sequence[Unit], flows: Mapping[tuple[Unit, Unit], Flow], shapes: Shapes, around: Callable[[Unit], str]
) -> dict[Unit, tuple[Unit, Unit]]:
    """By the second of two units that are drawn as one, both of them, first one first; `shapes` is told so. `around`: a unit's frame."""
    before: dict[Unit, list[Unit]] = {}
    after: dict[Unit, list[Unit]] = {}
    for source, target in flows:
        before.setdefault(target, []).append(source)
        after.setdefault(source, []).append(target)
    merged: dict[Unit, tuple[Unit, Unit]] = {}
    taken: set[Unit] = set()
    for first in units:
        (second,) = after.get(first, []) if len(after.get(first, [])) == 1 else (first,)
        alone = second != first and before[second] == [first] and flows[first, second] is Flow.GRADIENT
        if not alone or {first, second} & taken or around(first) != around(second):
            continue
        title = f"{shapes.title(first, around(first))} + {shapes.title(second, around(second))}"
        plain = _is_plain(first, shapes) and _is_plain(second, shapes) and shapes.is_norm(first) != shapes.is_norm(second)
        if plain and len(title) <= LONGEST_TITLE:
            merged[second] = (first, second)
            taken |= {first, second}
    shapes.merged.update(merged)
    return merged


def _is_plain(unit: Unit, shapes: Shapes) -> bool:
    """One layer with live parameters of its own and none of others."""
    return unit[0] == "module" and shapes.is_single(unit) and {row.verdict for row in shapes.rows(unit)} == {Verdict.LIVE}
