"""Paths of parameters relative to their class: how a list of them is made short."""

from __future__ import annotations

import re
from collections.abc import Iterable


def fold_paths(paths: Iterable[str], every: Iterable[str] = ()) -> list[str]:
    """The paths in order, each once; numbered neighbours become `layers.*`, where none of them (in `every`) is left out.

    >>> fold_paths(["stem.0", "stem.1", "head"])
    ['head', 'stem.*']
    >>> fold_paths(["stem.0", "stem.1"], ["stem.0", "stem.1", "stem.2"])
    ['stem.0', 'stem.1']
    """
    groups, all_groups = _by_pattern(paths), _by_pattern(every)
    folded: list[str] = []
    for pattern, members in groups.items():
        whole = len(members) > 1 and members >= all_groups.get(pattern, set())
        folded += [pattern] if whole else sorted(members)
    return sorted(folded)


def _by_pattern(paths: Iterable[str]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for path in paths:
        groups.setdefault(re.sub(r"\.\d+(?=\.|$)", ".*", path), set()).add(path)
    return groups
