"""Lists of parameter names, short enough to read: `fc1.{weight,bias}, fc2.weight, ... and 37 more`."""

from __future__ import annotations

from collections.abc import Iterable

GROUPS_SHOWN = 8
"""So many brace groups are written out before a list is folded; one line or two in a terminal."""


def fold_names(names: Iterable[str], *, limit: int | None = GROUPS_SHOWN) -> str:
    """The names, those of one module in braces; beyond `limit` groups (None: no limit) only how many more names there are.

    >>> fold_names(["fc1.weight", "fc1.bias", "scale"])
    'fc1.{weight,bias}, scale'
    """
    groups: dict[tuple[str, bool], list[str]] = {}
    for name in names:
        parent, dot, leaf = name.rpartition(".")
        groups.setdefault((parent, bool(dot)), []).append(leaf)
    items = list(groups.items())
    # One group over the limit is written out: "... and 2 more" would be no shorter.
    shown = items if limit is None or len(items) <= limit + 1 else items[:limit]
    words = [word for (parent, dot), leaves in shown for word in ([_braced(parent, leaves)] if dot else leaves)]
    left = sum(len(leaves) for _, leaves in items[len(shown) :])
    return ", ".join(words) + (f", ... and {left:,} more" if left else "")


def _braced(parent: str, leaves: list[str]) -> str:
    return f"{parent}.{leaves[0]}" if len(leaves) == 1 else f"{parent}.{{{','.join(leaves)}}}"


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 error`, `2 errors`, `1,204 parameters`; `many` is the plural of a noun that takes more than an s."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
