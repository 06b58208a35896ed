"""Two calls that differ in one size failed in one place with different numbers: the size for which the number would be the wanted one.

768 columns gave 197,376 features and 770 gave 197,888, where 2,048 are wanted: each column makes 256 of them, so five columns do.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from gradflow.capture.guess.attempt import Past
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.mend_call.proportions import wanted_sizes


def extrapolated(before: Call, first: Past, after: Call, second: Past) -> Iterator[Call]:
    """At most one call for each pair of numbers in the messages."""
    change = _one_change(before, after)
    if change is None or first.place != second.place:
        return
    name, index, old, new = change
    for (got, wanted), (got_then, wanted_then) in zip(wanted_sizes(first.message), wanted_sizes(second.message), strict=False):
        if wanted != wanted_then or got == got_then:
            continue
        size = old + Fraction((wanted - got) * (new - old), got_then - got)
        if size.denominator == 1 and size > 0:
            yield after.with_argument(name, after.tensors()[name].with_size(index, int(size)).text)


def _one_change(before: Call, after: Call) -> tuple[str, int, int, int] | None:
    """(argument, dimension, size before, size after) where nothing else differs."""
    one, two = before.tensors(), after.tensors()
    names = [name for name in one if one[name] != two.get(name)]
    if len(names) != 1 or list(one) != list(two) or len(one[names[0]].sizes) != len(two[names[0]].sizes):
        return None
    pairs = enumerate(zip(one[names[0]].sizes, two[names[0]].sizes, strict=True))
    places = [(index, old, new) for index, (old, new) in pairs if old != new]
    return (names[0], *places[0]) if len(places) == 1 else None
