"""Lists of parameter names, short enough to read: `fc1.{weight,bias}, fc2.weight, ... and 37 more`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

GROUPS_SHOWN = 8
"""So many brace groups are written out before a list is folded; one line or two in a terminal."""


def fold_names(names: Iterable[str], *, limit: int | None = GROUPS_SHOWN, known: Collection[str] = ()) -> str:
    """The names, those of one module in braces.

    Beyond `limit` groups (None: no limit) a module is named as a whole where all of its parameters, as `known` has them, are meant; what
    is too much even then is only counted.

    >>> fold_names(["fc1.weight", "fc1.bias", "scale"])
    'fc1.{weight,bias}, scale'
    >>> fold_names(["a.b.w", "a.c.w", "d.w"], limit=0, known=["a.b.w", "a.c.w", "d.w", "d.v"])
    'a.* (2), ... and 1 more'
    """
    names = list(names)
    groups = _by_module(names)
    if limit is not None and len(groups) > limit + 1:
        groups = _by_whole_module(names, known)
    # One group over the limit is written out: "... and 2 more" would be no shorter.
    shown = groups if limit is None or len(groups) <= limit + 1 else groups[: max(limit, 1)]
    left = sum(count for _, count in groups[len(shown) :])
    return ", ".join(word for word, _ in shown) + (f", ... and {left:,} more" if left else "")


def _by_module(names: Iterable[str]) -> list[tuple[str, int]]:
    """A word for the names of each module, and how many they are."""
    leaves: dict[str, list[str]] = {}
    for name in names:
        parent, dot, leaf = name.rpartition(".")
        leaves.setdefault(parent + dot or name, []).append(leaf)
    return [(_braced(parent, inside) if parent.endswith(".") else parent, len(inside)) for parent, inside in leaves.items()]


def _by_whole_module(names: list[str], known: Collection[str]) -> list[tuple[str, int]]:
    """As `_by_module`, with one word (`stage1.* (12)`) for the outermost modules that lie in `names` as a whole."""
    meant, there = Counter(_modules_of_all(names)), Counter(_modules_of_all(known))
    whole: Counter[str] = Counter()
    single: list[str] = []
    for name in names:
        module = next((module for module in _modules(name) if meant[module] == there[module] > 1), None)
        if module is None:
            single.append(name)
        else:
            whole[module] += 1
    return [(f"{module}.* ({count:,})", count) for module, count in whole.items()] + _by_module(single)


def _modules_of_all(names: Iterable[str]) -> Iterator[str]:
    return (module for name in names for module in _modules(name))


def _modules(name: str) -> Iterator[str]:
    """The paths of the modules around a parameter, the outermost first."""
    parts = name.split(".")[:-1]
    return (".".join(parts[: depth + 1]) for depth in range(len(parts)))


def _braced(parent: str, leaves: list[str]) -> str:
    return parent + (leaves[0] if len(leaves) == 1 else f"{{{','.join(leaves)}}}")


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 error`, `2 errors`, `1,204 parameters`; `many` is the plural of a noun that takes more than an s."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
