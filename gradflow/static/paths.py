"""Paths of parameters relative to their class: how a list of them is made short."""

from __future__ import annotations

import re
from collections.abc import Iterable


def fold_paths(paths: Iterable[str]) -> list[str]:
    """The paths in order, each once; numbered neighbours become `layers.*`.

    >>> fold_paths(["stem.0", "stem.1", "head"])
    ['head', 'stem.*']
    >>> fold_paths(["stem.0", "a.*.b"])
    ['a.*.b', 'stem.0']
    """
    once = sorted(set(paths))
    groups: dict[str, list[str]] = {}
    for path in once:
        groups.setdefault(re.sub(r"\.\d+(?=\.|$)", ".*", path), []).append(path)
    return sorted(members[0] if len(members) == 1 else pattern for pattern, members in groups.items())
