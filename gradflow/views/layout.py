"""The order of boxes and the trunk: the longest way through the drawing. Walks are loops, and back edges are left out of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key")


def forward_edges(order: Sequence[Key], pairs: Iterable[tuple[Key, Key]]) -> list[tuple[Key, Key]]:
    """The pairs without those that close a cycle (the next time step of a recurrent net), by a search from the first boxes on."""
    after: dict[Key, list[Key]] = {key: [] for key in order}
    for source, target in pairs:
        after[source].append(target)
    state: dict[Key, int] = {}
    kept: list[tuple[Key, Key]] = []
    for start in order:
        stack: list[tuple[Key, int]] = [(start, 0)] if start not in state else []
        state.setdefault(start, 1)
        while stack:
            key, place = stack.pop()
            if place == len(after[key]):
                state[key] = 2
                continue
            stack.append((key, place + 1))
            target = after[key][place]
            if state.get(target) == 1:
                continue
            kept.append((key, target))
            if target not in state:
                state[target] = 1
                stack.append((target, 0))
    return kept


def ranks(order: Sequence[Key], pairs: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """For each box, the length of the longest way to it, over pairs without a cycle."""
    after: dict[Key, list[Key]] = {key: [] for key in order}
    waits = dict.fromkeys(order, 0)
    for source, target in pairs:
        after[source].append(target)
        waits[target] += 1
    rank = dict.fromkeys(order, 0)
    ready = [key for key in order if not waits[key]]
    for key in ready:
        for target in after[key]:
            rank[target] = max(rank[target], rank[key] + 1)
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    return rank


def trunk(order: Sequence[Key], pairs: Sequence[tuple[Key, Key]], rank: Mapping[Key, int]) -> set[Key]:
    """The boxes of one longest way, read back from the box of the highest rank."""
    if not order:
        return set()
    before: dict[Key, list[Key]] = {}
    for source, target in pairs:
        before.setdefault(target, []).append(source)
    key = max(order, key=lambda one: rank[one])
    found = {key}
    while before.get(key):
        key = max(before[key], key=lambda one: rank[one])
        found.add(key)
    return found if len(found) > 1 else set()
