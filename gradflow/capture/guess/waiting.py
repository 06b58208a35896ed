"""The calls that wait to be tried, and which of them is next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable

from gradflow.capture.guess.attempt import Failure, Past
from gradflow.capture.guess.call import Call

_TURN = 4
"""One of so many calls comes from the most trusted of those proposed."""

_Origin = tuple[Call, Past]
"""A call and how it failed."""
_Waiter = tuple[tuple[int, int, int, int], Call, _Origin]
"""A call with its rank, and what it was mended from."""
Place = tuple[str, str, int, int]
"""Where a try failed: `Failure.place`."""


class Line:
    """The calls that wait to be tried: those proposed first, as they are, then those mended from a try that got further through the model,
    then from one that failed at a new place, then in the order of their rules.

    How far a call got is no measure where its sizes are wrong altogether: every fourth is the next of those that the most trusted of the
    proposed calls became.
    """

    def __init__(self, proposed: Iterable[Call]) -> None:
        self._proposed = iter(proposed)
        self._waiting: list[_Waiter] = []
        self._trusted: list[_Waiter] = []
        self._of_the_first: set[Call] = set()
        self._turns = itertools.cycle([*[False] * (_TURN - 1), True])
        self._places: set[Place] = set()
        self._failures = 0

    def pop(self) -> tuple[Call, _Origin | None] | None:
        """The next one and what it was mended from, None where none is left."""
        proposed = next(self._proposed, None)
        if proposed is not None:
            self._of_the_first = self._of_the_first or {proposed}
            return proposed, None
        line = self._trusted if next(self._turns) and self._trusted else self._waiting
        return heapq.heappop(line)[1:] if line else None

    def put(self, mended: Iterable[Call], failed: Call, failure: Failure, *, solved: bool = False) -> None:
        """What is `solved` comes as if it were from a new place, and leaves the place new for what else is mended there."""
        self._failures += 1
        seen = failure.place in self._places and not solved
        for number, call in enumerate(mended):
            # no two entries have the same rank, so that calls are never compared
            waiter = ((-failure.layers_done, int(seen), -self._failures, number), call, (failed, failure.past))
            heapq.heappush(self._waiting, waiter)
            if failed in self._of_the_first:
                self._of_the_first.add(call)
                heapq.heappush(self._trusted, waiter)
        if not solved:
            self._places.add(failure.place)
